"""What an operator does at the pages: each act of `vis` as a form, by the same function and with the same audit row."""
