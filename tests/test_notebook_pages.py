"""The pages of docs/ that are notebooks: their code runs, from above to below, on few images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [path for path in sorted((ROOT / "docs").glob("*.md")) if "file_format: mystnb" in path.read_text()]


def test_there_are_notebook_pages() -> None:
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_cells_of_a_page_run(page, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    cells = re.findall(r"^```\{code-cell\}.*?\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    assert cells
    environment = {**os.environ, "MINIGRAD_FAST_DOCS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-W", "error", "-c", "\n".join(cells)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
