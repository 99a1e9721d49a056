"""Every plot the book draws, one call each; all end on the page through `helpers.publish`.

Each function takes the figure's ``name`` (``fig-…``), ``caption`` (MyST text) and ``alt``
(plain text for readers who cannot see it) as keywords, and returns nothing.
"""

from helpers.figures.charts import bars, histogram, lines, rate_distortion, training_curve
from helpers.figures.diagrams import Block, block_diagram
from helpers.figures.numbers import number_grids
from helpers.figures.panels import training_panels
from helpers.figures.pictures import comparison, image_grid
from helpers.figures.style import label

__all__ = [
    "Block",
    "bars",
    "block_diagram",
    "comparison",
    "histogram",
    "image_grid",
    "label",
    "lines",
    "number_grids",
    "rate_distortion",
    "training_curve",
    "training_panels",
]
