"""Sphinx settings; `make docs` builds the pages into docs/_build."""

project = "minigrad"
extensions = ["myst_nb"]
nb_execution_mode = "off"
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1200px", "body_max_width": "none"}  # wide enough for code and messages
