"""From a layout description (the XML of vtkMRMLLayoutNode) to rectangles in pixels."""

import xml.etree.ElementTree as ElementTree


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
    weights = [float(item.get("splitSize", 500)) for item in items]
    room = (width if isHorizontal else height) - gap * (len(items) - 1)
    position = left if isHorizontal else top
    for weight in weights:
        size = round(room * weight / sum(weights))
        yield (position, top, size, height) if isHorizontal else (left, position, width, size)
        position += size + gap


def _gridCells(items, rectangle, gap):
    left, top, width, height = rectangle
    rows = 1 + max(int(item.get("row", 0)) for item in items)
    columns = 1 + max(int(item.get("column", 0)) for item in items)
    cellWidth, cellHeight = (width - gap * (columns - 1)) // columns, (height - gap * (rows - 1)) // rows
    for item in items:
        column, row = int(item.get("column", 0)), int(item.get("row", 0))
        yield left + column * (cellWidth + gap), top + row * (cellHeight + gap), cellWidth, cellHeight
