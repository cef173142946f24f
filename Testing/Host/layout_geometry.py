"""From a layout description (the XML of vtkMRMLLayoutNode) to rectangles in pixels."""

import xml.etree.ElementTree as ElementTree

SIZE_HINTS = {"vtkMRMLPlotViewNode": 92.0}
"""Share of a splitter that a view gets where no item has a splitSize; all others get SIZE_HINT.

CTK then leaves the sizes to QSplitter, which goes by size hints: a plot beside a 3D view had 215 of 1380 pixels in
Slicer 5.13.
"""
SIZE_HINT = 500.0


def viewRectangles(description, width, height, gap=2):
    """List of (node class, singleton tag, (left, top, width, height)) of the views of a layout."""
    rectangles = []
    if description:
        _place(ElementTree.fromstring(description), (0, 0, width, height), gap, rectangles)
    return rectangles


def _place(element, rectangle, gap, rectangles):
    if element.tag == "view":
        rectangles.append((element.get("class"), element.get("singletontag"), rectangle))
        return
    items = element.findall("item")
    if element.get("type") == "tab":
        items = items[:1]
    if element.get("type") == "grid":
        cells = _gridCells(items, rectangle, gap)
    else:
        cells = _splitCells(items, rectangle, gap, element.get("type") == "horizontal")
    for item, cell in zip(items, cells, strict=True):
        for child in item:
            if child.tag in ("view", "layout"):
                _place(child, cell, gap, rectangles)


def _splitCells(items, rectangle, gap, isHorizontal):
    left, top, width, height = rectangle
    weights = _weights(items)
    room = (width if isHorizontal else height) - gap * (len(items) - 1)
    position = left if isHorizontal else top
    for weight in weights:
        size = round(room * weight / sum(weights))
        yield (position, top, size, height) if isHorizontal else (left, position, width, size)
        position += size + gap


def _weights(items):
    """CTK gives the sizes to the splitter as soon as one item has any; one without then is as small as it may be."""
    sizes = [float(item.get("splitSize", 0)) for item in items]
    if any(sizes):
        return [max(size, 1.0) for size in sizes]
    views = [item.find("view") for item in items]
    return [SIZE_HINT if view is None else SIZE_HINTS.get(view.get("class"), SIZE_HINT) for view in views]


def _gridCells(items, rectangle, gap):
    left, top, width, height = rectangle
    rows = 1 + max(int(item.get("row", 0)) for item in items)
    columns = 1 + max(int(item.get("column", 0)) for item in items)
    cellWidth, cellHeight = (width - gap * (columns - 1)) // columns, (height - gap * (rows - 1)) // rows
    for item in items:
        column, row = int(item.get("column", 0)), int(item.get("row", 0))
        yield left + column * (cellWidth + gap), top + row * (cellHeight + gap), cellWidth, cellHeight
