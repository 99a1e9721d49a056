"""Where the book's parts lie, and what its three settings files say."""

import ast
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

PROFILES = ("smoke", "laptop", "full")
BASE_PROFILE = "laptop"  # the values in the notebooks themselves
SUFFIXES = (".ipynb", ".md")


@dataclass(frozen=True)
class Page:
    """One entry of ``_toc.yml``.

    Parameters
    ----------
    name : str
        Path from the project's root, without the ending: ``"book/foundations/measuring"``.
    path : Path
        The notebook or Markdown file.
    """

    name: str
    path: Path

    @property
    def is_notebook(self) -> bool:
        """Whether the page is executed before it is shown."""
        return self.path.suffix == ".ipynb"

    @property
    def key(self) -> str:
        """The page's key in ``profiles.yml``: its path from ``book/`` on, without ending."""
        return self.name.removeprefix("book/")

    @property
    def after_all(self) -> bool:
        """Whether the page speaks of what the others found, and so is executed after them.

        Its notebook says so in its metadata: ``"book": {"after": "all"}``.
        """
        if not self.is_notebook:
            return False
        metadata = nbformat.read(self.path, as_version=4).metadata
        return metadata.get("book", {}).get("after") == "all"

    @property
    def title(self) -> str:
        """The last part of the path, which is how people name a chapter."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Project:
    """A book: its sources and the folder that everything made from them goes to.

    Parameters
    ----------
    root : Path
        Folder that holds ``_toc.yml`` and ``_config.yml``.
    build : Path
        Folder for everything that is made, usually ``root / "_build"``.
    """

    root: Path
    build: Path

    @classmethod
    def at(cls, root: Path, build: Path | None = None) -> "Project":
        """Open the book at a folder.

        Parameters
        ----------
        root : Path
        build : Path, optional

        Raises
        ------
        ValueError
            If there is no book at this folder.
        """
        root = root.resolve()
        if not (root / "_toc.yml").is_file():
            raise ValueError(
                "There is no _toc.yml beside the package `helpers`, so there is no book to make "
                "here; clone the whole repository and run the command inside it."
            )
        return cls(root, (build or root / "_build").resolve())

    def pages(self) -> list[Page]:
        """Every page of ``_toc.yml``, in reading order.

        Raises
        ------
        ValueError
            If an entry has no file.
        """
        from sphinx_external_toc.parsing import parse_toc_yaml

        pages = []
        for name in parse_toc_yaml(self.root / "_toc.yml"):
            found = [
                path for suffix in SUFFIXES if (path := self.root / f"{name}{suffix}").is_file()
            ]
            if not found:
                raise ValueError(
                    f"_toc.yml names {name}, but there is neither {name}.ipynb nor {name}.md; "
                    "write the page or take the entry out."
                )
            pages.append(Page(name, found[0]))
        return pages

    def notebooks(self, only: str | None = None) -> list[Page]:
        """The pages that are executed, in reading order; see `execution_order`.

        Parameters
        ----------
        only : str, optional
            One chapter's name, with or without its folder.

        Raises
        ------
        ValueError
            If no notebook has that name.
        """
        notebooks = [page for page in self.pages() if page.is_notebook]
        if only is None:
            return notebooks
        wanted = only.removesuffix(".ipynb")
        chosen = [page for page in notebooks if wanted in (page.title, page.key, page.name)]
        if not chosen:
            known = ", ".join(page.title for page in notebooks) or "none"
            raise ValueError(f"No notebook is called '{only}'; the book has: {known}.")
        return chosen

    def executed_folder(self, profile: str) -> Path:
        """Where the executed notebooks of a profile are kept."""
        return self.build / "notebooks" / profile

    def executed(self, page: Page, profile: str) -> Path:
        """Where the executed notebook of a page is kept."""
        return self.executed_folder(profile) / f"{page.name}.ipynb"

    def overrides(self, page: Page, profile: str) -> dict[str, Any]:
        """What ``profiles.yml`` changes in a notebook's parameters.

        Parameters
        ----------
        page : Page
        profile : {"smoke", "laptop", "full"}

        Returns
        -------
        dict of str to value
            Empty for ``laptop``, whose values stand in the notebook.

        Raises
        ------
        ValueError
            If the file names a chapter, a profile or a parameter that does not exist.
        """
        if profile not in PROFILES:
            raise ValueError(f"No profile is called '{profile}'; choose {', '.join(PROFILES)}.")
        settings = _yaml(self.root / "book" / "profiles.yml")
        chapters = {notebook.key for notebook in self.notebooks()}
        for chapter, profiles in settings.items():
            unknown = set(profiles or {}) - set(PROFILES) | {chapter} - chapters
            if unknown or BASE_PROFILE in (profiles or {}):
                raise ValueError(
                    f"book/profiles.yml, '{chapter}': only notebooks of _toc.yml (as "
                    "folder/name) and the profiles smoke and full belong there; the laptop "
                    "values stand in the notebook."
                )
        if profile == BASE_PROFILE:
            return {}
        known = parameters(page.path)
        changed = dict((settings.get(page.key) or {}).get(profile) or {})
        if stray := set(changed) - known.keys():
            raise ValueError(
                f"book/profiles.yml sets {', '.join(sorted(stray))} for {page.key}, whose "
                f"parameters are: {', '.join(known) or 'none'}."
            )
        if "profile" in known:
            changed.setdefault("profile", profile)
        return changed

    def config(self) -> dict[str, Any]:
        """``_config.yml`` as the build takes it.

        The repository's address comes from ``repository.url`` or, before that, from the
        environment variable ``BOOK_REPOSITORY_URL``. While there is none, the buttons that
        would need one are left out.
        """
        config = _yaml(self.root / "_config.yml")
        repository = config.get("repository") or {}
        url = os.environ.get("BOOK_REPOSITORY_URL") or repository.get("url") or ""
        if url:
            config["repository"] = {**repository, "url": url.rstrip("/").removesuffix(".git")}
        else:
            config.pop("repository", None)
            config.pop("launch_buttons", None)
            for button in ("use_repository_button", "use_edit_page_button", "use_issues_button"):
                (config.get("html") or {}).pop(button, None)
        return config


def execution_order(pages: list[Page]) -> list[Page]:
    """Pages as they are executed: those that speak of the others last, else as they were.

    Parameters
    ----------
    pages : list of Page

    Returns
    -------
    list of Page
    """
    return sorted(pages, key=lambda page: page.after_all)


def parameters(notebook: Path) -> dict[str, Any]:
    """Names and laptop values of a notebook's parameters.

    Parameters
    ----------
    notebook : Path

    Returns
    -------
    dict of str to value
        From the assignments in the cell tagged ``parameters``.

    Raises
    ------
    ValueError
        If a value there is no plain constant.
    """
    found = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type != "code" or "parameters" not in cell.metadata.get("tags", []):
            continue
        for statement in ast.parse(cell.source).body:
            if not isinstance(statement, ast.Assign | ast.AnnAssign):
                continue
            targets = getattr(statement, "targets", None) or [statement.target]
            try:
                value = ast.literal_eval(statement.value)
            except ValueError:
                raise ValueError(
                    f"{notebook.name}: `{ast.unparse(statement)}` in the parameters cell is no "
                    "plain value; move what is derived from parameters to a later cell."
                ) from None
            found |= {ast.unparse(target): value for target in targets}
    return found


def _yaml(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no valid YAML ({error}).") from error
