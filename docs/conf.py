"""Sphinx settings; `make docs` builds the pages into docs/_build."""

project = "minigrad"
extensions = ["myst_nb"]
nb_execution_mode = "off"
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1160px"}  # lines of code have up to 100 characters
