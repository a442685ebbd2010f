"""Sphinx settings; `make docs` builds the pages into docs/_build.

Pages that are notebooks run then, for some minutes; with MINIGRAD_FAST_DOCS=1 on few images, for some seconds.
"""

project = "minigrad"
extensions = ["myst_nb"]
nb_execution_mode = "auto"
nb_execution_timeout = 1800  # seconds a cell
nb_execution_raise_on_error = True
nb_execution_in_temp = True  # what a page writes, it writes there
nb_merge_streams = True
exclude_patterns = ["_build", "jupyter_execute"]  # what a build leaves here
html_theme = "alabaster"
html_theme_options = {"page_width": "1200px", "body_max_width": "none", "code_font_size": "0.8em"}  # for wide code
