"""Cards of a page as a grid of sphinx-design, two in a row where there is room."""

import json


def cards_text(book: dict, folder: str) -> tuple[str, dict[str, str]]:
    """MyST text of a group of cards, and the pictures it shows.

    Parameters
    ----------
    book : dict
        Metadata of the output: name, cards.
    folder : str
        Where the pictures will lie, seen from the page.

    Returns
    -------
    text : str
    pictures : dict of str to str
        Path of each picture, seen from the page, and its PNG file in base64.
    """
    lines, pictures = ["~~~~~{grid} 1 1 2 2", ":gutter: 3", ""], {}
    for number, card in enumerate(book["cards"]):
        picture = f"{folder}/{book['name']}-{number}.png"
        pictures[picture] = card["png"]
        alt = json.dumps(" ".join(card["alt"].split()), ensure_ascii=False)
        lines += ["~~~~{grid-item-card}", f":img-top: {picture}", f":img-alt: {alt}", ""]
        lines += [f"**{card['title'].strip()}**", "", card["text"].strip(), "~~~~", ""]
    return "\n".join([*lines, "~~~~~"]), pictures
