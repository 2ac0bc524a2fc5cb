"""Numbers become drawings on the server: geometry here, SVG in templates/charts, colours in the style sheet.

A drawing is stretched to its place, so it holds shapes only; what is written beside it is text of the page. Each has a
sentence for those who do not see it, and stands beside a table with its figures.
"""
