"""The first run: five steps from an empty installation to the first row, each with its state out of the database."""
