"""Take out of an executed notebook what belongs to the machine and not to the result."""

import re
from pathlib import Path

from nbformat import NotebookNode

_CELL_FILE = re.compile(r"/[\w/.-]*ipykernel_\d+/\d+\.py")


def clean(notebook: NotebookNode, folders: dict[Path, str]) -> NotebookNode:
    """Remove run-time metadata and machine paths, in place.

    Parameters
    ----------
    notebook : NotebookNode
        As papermill left it.
    folders : dict of Path to str
        What to write instead of each folder of this machine, longest path first.

    Returns
    -------
    NotebookNode
        The same notebook.
    """
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [_clean_output(output, folders) for output in cell.outputs]
    return notebook


def _clean_output(output: NotebookNode, folders: dict[Path, str]) -> NotebookNode:
    if "text" in output:
        output.text = _clean_text(output.text, folders)
    for mime, data in output.get("data", {}).items():
        if mime.startswith("text/") and isinstance(data, str):
            output.data[mime] = _clean_text(data, folders)
    if "traceback" in output:
        output.traceback = [_clean_text(line, folders) for line in output.traceback]
    return output


def _clean_text(text: str, folders: dict[Path, str]) -> str:
    for folder, name in folders.items():
        # "/home/ann" must not be found inside "/home/anna"
        text = re.sub(rf"{re.escape(str(folder))}(?![\w-])", name, text)
    return _CELL_FILE.sub("cell", text)
