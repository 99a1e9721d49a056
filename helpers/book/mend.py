"""What the builder's HTML lacks for people who hear a page instead of seeing it."""

from pathlib import Path

from helpers.book.execute import write

# docutils gives references a role that is no longer in use, in a list that then has no items
_WRITTEN, _MEANT = 'role="doc-biblioentry"', 'role="listitem"'


def mend(site: Path) -> None:
    """Mend the pages of a built site, in place.

    Parameters
    ----------
    site : Path
        Folder of the pages.
    """
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if _WRITTEN in text:
            write(page, text.replace(_WRITTEN, _MEANT))
