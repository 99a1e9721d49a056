"""Find numbers that somebody typed into the text of a page, where a run should have put them.

A number with a unit (dB, bpp, %, seconds, KiB and the like) or behind the name of a measure (an
AUC, an SSIM, a ratio) may stand in the prose in four ways only:

- glued: ``{glue:text}`cae-psnr:.2f` dB``, which is the rule;
- cited: the sentence holds a ``{cite}`` role, so it is somebody else's number;
- inside code, mathematics, or the options of a directive;
- as a constant: one that no run can change, such as what an exercise gives, or a definition.
  A comment that no reader sees says which, anywhere in the same cell (in a Markdown file:
  anywhere in the file)::

      <!-- constants: 8 bits; 62 dB -->

  It repeats the words of the text, so that another number beside them is still found, and a
  constant that the text no longer holds is reported too.

The words in a code cell are read too, captions and the like: all texts of more than one word. What
an f-string puts in comes from the run; a comment of the cell, ``# constants: 20 steps``, marks the
rest.

A few words are constants everywhere and need no comment: see `ALWAYS`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

# depths of pixels and words, an interval's level, and the whole
ALWAYS = (
    r"(?:8|10|12|14|16|32|64)[ -]bits?",
    r"95 % (?:confidence )?intervals?",
    r"(?:0|100) %",
)
_NUMBER = r"[−–-]?\d[\d,]*(?:\.\d+)?"
_UNITS = (
    r"dB|bpp|%|per cent|percent|bits?|bytes?|[kKMGT]i?B|(?:milli)?seconds?|ms|s|minutes?|min|hours?"
    r"|h|days?|grey levels?|levels?|times|: ?1|points?|MPixel/s|MB/s|images/s|epochs?|steps?"
)
_MEASURES = r"AUC|(?:MS-)?SSIM|FSIM|PSNR|LPIPS|FID|MSE|BD-rate|ratio|accuracy|sensitivity"
_LINK = (
    r"(?:\s+(?:of|is|was|at|to|about|only|from|near|below|above|over|under|up to|no more than))*"
)
_FOUND = re.compile(
    rf"(?<![\w.,])(?P<unit>{_NUMBER}(?:\s*(?:–|-|to|and|or)\s*{_NUMBER})*[ -]?(?:{_UNITS})(?![\w]))"
    rf"|(?P<measure>\b(?:{_MEASURES}){_LINK}\s+{_NUMBER}(?![\w.]*\d))"
)
_ALWAYS = re.compile(rf"(?<![\w.,])(?:{'|'.join(ALWAYS)})(?!\w)")
_MARK = re.compile(r"<!--\s*constants:(?P<words>.*?)-->", re.DOTALL)
_CODE_MARK = re.compile(r"^\s*# constants:(.*)$", re.MULTILINE)
_FENCE = re.compile(r"^\s*(?P<fence>`{3,}|~{3,}|:{3,})\s*(?P<info>.*)$")
# directives whose body is text for the reader; of all others nothing is read
_TEXT = {
    *("admonition", "attention", "caution", "danger", "hint", "important", "note", "tip"),
    *("warning", "seealso", "exercise", "solution", "table", "list-table", "figure", "margin"),
    *("dropdown", "card", "grid", "grid-item", "grid-item-card", "glossary", "epigraph"),
}
_ROLE = re.compile(r"\{(?P<role>[\w:-]+)\}(?P<ticks>`+).*?(?P=ticks)", re.DOTALL)
_SENTENCE = re.compile(
    r"(?<=[.!?])[*)\"”]*\s+(?=[\"“(*]*[A-Z])|\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.)\s?)"
)


@dataclass(frozen=True)
class Finding:
    """One number that a run should have put into the text.

    Parameters
    ----------
    place : str
        File, and in a notebook the cell.
    words : str
        The number as it was typed.
    sentence : str
        Where it stands.
    """

    place: str
    words: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: '{self.words}' in: {self.sentence}"


def typed_numbers(path: Path) -> list[Finding]:
    """Numbers that were typed into a page.

    Parameters
    ----------
    path : Path
        A notebook or a Markdown file.

    Returns
    -------
    list of Finding
    """
    if path.suffix != ".ipynb":
        return list(in_text(path.read_text(encoding="utf-8"), path.name))
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        text = cell.source if cell.cell_type == "markdown" else words_of_code(cell.source)
        found += in_text(text, f"{path.name}, cell {cell.get('id', '?')}")
    return found


def words_of_code(source: str) -> str:
    """Texts that code shows to a reader, with the marks of its comments.

    Parameters
    ----------
    source : str
        Python.

    Returns
    -------
    str
        MyST. A paragraph each text of more than one word; what an f-string puts in is a role.
    """
    tree = ast.parse(source)
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in ast.walk(node) if part is not node}
    texts = ["".join(_shown(part) for part in node.values) for node in joined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in parts and type(node.value) is str:
            texts.append(node.value)
    marks = [f"<!-- constants: {words} -->" for words in _CODE_MARK.findall(source)]
    return "\n\n".join([text for text in texts if " " in text.strip()] + marks)


def _shown(part: ast.expr) -> str:
    return part.value if isinstance(part, ast.Constant) else "{run}`x`"


def in_text(text: str, place: str = "text") -> Iterator[Finding]:
    """Numbers that were typed into a MyST text; see the top of this module.

    Parameters
    ----------
    text : str
    place : str
        What a finding says of where it stands.

    Yields
    ------
    Finding
    """
    marked = [" ".join(w.split()) for m in _MARK.finditer(text) for w in m["words"].split(";")]
    marked = [words for words in marked if words]
    unused = set(marked)
    for sentence in _SENTENCE.split(plain(text)):
        line = " ".join(sentence.split())
        spared = _Spared(line, marked)
        unused -= spared.used
        if "CITED" in line:
            continue
        for found in _FOUND.finditer(line):
            if not spared.covers(found):
                yield Finding(place, found[0], line)
    for words in sorted(unused):
        yield Finding(place, words, "is marked as a constant, but the text does not hold it")


def plain(text: str) -> str:
    """Words that a reader reads; roles, code and formulas become one word each.

    Parameters
    ----------
    text : str
        MyST.

    Returns
    -------
    str
    """
    text = "\n".join(_outside_code(_MARK.sub("", text).splitlines()))
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$(?:\s*\([\w-]+\))?", " ", text, flags=re.DOTALL)
    text = _ROLE.sub(lambda role: "CITED" if role["role"].startswith("cite") else "ROLE", text)
    text = re.sub(r"(`+).*?\1", "CODE", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$\n]+(?:\n[^$\n]+)?\$", "FORMULA", text)
    return re.sub(r"\]\([^)]*\)", "]", text)  # addresses of links


class _Spared:
    """The stretches of a sentence that are constants."""

    def __init__(self, line: str, marked: list[str]):
        self.used = {words for words in marked if _place(words, line)}
        found = [place for words in self.used for place in _place(words, line)]
        self.spans = found + [match.span() for match in _ALWAYS.finditer(line)]

    def covers(self, found: re.Match) -> bool:
        """Whether the constant and the number are the same place."""
        return any(first < found.end() and found.start() < last for first, last in self.spans)


def _place(words: str, line: str) -> list[tuple[int, int]]:
    # "8 bits" is not the end of "18 bits"
    return [m.span() for m in re.finditer(rf"(?<![\w.,]){re.escape(words)}(?!\w)", line)]


def _outside_code(lines: list[str]) -> Iterator[str]:
    """The lines outside code; of directives with text the argument and the body."""
    open_fences: list[str] = []
    code = ""
    for line in lines:
        fence = _FENCE.match(line)
        if code:
            if fence and not fence["info"] and fence["fence"].startswith(code):
                code = ""
            continue
        if not fence:
            if not (open_fences and re.match(r"^\s*:[\w-]+:", line)):
                yield line
            continue
        directive = re.match(r"\{(?P<name>[\w-]+)\}(?P<argument>.*)", fence["info"])
        if directive and directive["name"] in _TEXT:
            open_fences.append(fence["fence"])
            yield from ("", directive["argument"], "")
        elif not fence["info"] and open_fences and fence["fence"].startswith(open_fences[-1]):
            open_fences.pop()
            yield ""
        else:
            code = fence["fence"]
