"""Compares documented_api.json with what the headers of Slicer's and CTK's Qt classes say.

python -m Testing.Host.read_documented_api SLICER CTK            folders of the sources
"""

import argparse
import json
import re
import sys
from pathlib import Path

FILE = Path(__file__).with_name("documented_api.json")
KINDS = ("properties", "signals", "methods")
_SECTION = re.compile(r"^\s*(public|protected|private|signals|Q_SIGNALS)\s*(slots|Q_SLOTS)?\s*:\s*$", re.M)
_METHOD = re.compile(
    r"([~\w]+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*(?:const)?\s*(?:override|final)?\s*(?:=\s*0)?\s*[;{]"
)


def read_class(text, name):
    """(base, {kind: sorted list or dict}) of a class in the text of its header; None if it is not there."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    found = re.search(rf"class\s+(?:\w+\s+)?{name}\s*(?::\s*public\s+(\w+))?[^;{{]*\{{", text)
    if found is None:
        return None
    body = _body(text, found.end())
    while (shorter := re.sub(r"\{[^{}]*\}", ";", body)) != body:  # bodies of inline functions
        body = shorter
    properties = dict(
        (match[2], match[1].strip()) for match in re.finditer(r"Q_PROPERTY\(\s*([\w:<>, *]+?)\s+(\w+)\s+READ", body)
    )
    signals, methods = set(), set()
    pieces = _SECTION.split(body)
    for access, slots, piece in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        if access in ("signals", "Q_SIGNALS"):
            signals |= _signatures(piece)
        elif access == "public" and slots:
            methods |= _signatures(piece)
        elif access == "public":
            for match in re.finditer(r"Q_INVOKABLE[^;{]*[;{]", piece):
                methods |= _signatures(match[0])
    return found[1], {"properties": properties, "signals": sorted(signals), "methods": sorted(methods)}


def _body(text, start):
    """What the braces that were opened before `start` enclose."""
    depth, end = 1, start
    while depth and end < len(text):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start : end - 1]


def _signatures(text):
    return {f"{match[1]}({','.join(_types(match[2]))})" for match in _METHOD.finditer(text)}


def _types(arguments):
    """Types as Qt normalizes them: no const, no reference, no names, no defaults."""
    for argument in re.split(r",(?![^<]*>)", arguments):
        argument = re.sub(r"=.*", "", argument).replace("const ", "").replace("&", "").strip()
        argument = re.sub(r"\s*\*\s*", "* ", argument)
        words = argument.split(" ")
        if words != [""] and words != ["void"]:
            yield "".join(words[:-1]) if len(words) > 1 and words[-1] else "".join(words)


def read_all(roots, names):
    """{class: entry} of the classes, from the header of each name below the folders."""
    found = {}
    for name in names:
        for path in (path for root in roots for path in Path(root).rglob(f"{name}.h")):
            entry = read_class(path.read_text(encoding="utf-8", errors="replace"), name)
            if entry is not None:
                found[name] = {"extends": entry[0], **entry[1]}
                break
    return found


def differences(documented, read):
    """Sentences: what headers and file do not have in common."""
    for name, entry in documented.items():
        if name not in read:
            yield f"{name}: no header"
            continue
        for kind in KINDS:
            for item in sorted(set(entry[kind]) - set(read[name][kind])):
                yield f"{name}: {item} is in no header ({kind})"
            for item in sorted(set(read[name][kind]) - set(entry[kind])):
                yield f"{name}: {item} is missing in the file ({kind})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slicer", type=Path)
    parser.add_argument("ctk", type=Path)
    arguments = parser.parse_args()
    documented = json.loads(FILE.read_text(encoding="utf-8"))
    read = read_all([arguments.slicer, arguments.ctk], documented)
    found = list(differences(documented, read))
    print(*found, f"{len(found)} differences", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
