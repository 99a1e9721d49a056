"""Equations that can be read without a network: MathJax travels with the site."""

import importlib.metadata
import shutil
from pathlib import Path

PACKAGE = "sphinx-mathjax-offline"
# the script with TeX input and HTML output, its fonts, and rare TeX commands it loads by need
PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")


def bring_mathjax(stage: Path, config: dict) -> bool:
    """Put MathJax beside the staged pages and point the settings to it, in place.

    Parameters
    ----------
    stage : Path
        Folder of the staged pages.
    config : dict
        Content of ``_config.yml``.

    Returns
    -------
    bool
        False where the package that carries MathJax is not installed; equations are then
        drawn by a script from the network, as Sphinx does on its own.
    """
    try:
        package = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return False
    source = Path(package.locate_file(PACKAGE)) / "static" / "mathjax"
    target = stage / "_mathjax" / "mathjax"
    for part in PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / part).is_dir() else shutil.copyfile
        copy(source / part, target / part)
    settings = config.setdefault("sphinx", {}).setdefault("config", {})
    settings["html_static_path"] = [*settings.get("html_static_path", []), "_mathjax"]
    settings["mathjax_path"] = f"mathjax/{PARTS[0]}"
    return True
