"""The pages, one for each question that a person brings."""
