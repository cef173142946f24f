"""Stand-in for Slicer's SampleData module: sources are registered, and offered as buttons."""

import sys
import types

import slicer

_ARGUMENTS = [
    "category",
    "sampleName",
    "uris",
    "fileNames",
    "nodeNames",
    "customDownloader",
    "thumbnailFileName",
    "loadFileTypes",
    "loadFiles",
    "loadFileProperties",
    "checksums",
    "loadFileType",
]


class SampleDataSource:
    """One source; it has an attribute for each argument of registerCustomSampleDataSource.

    Raises:
        TypeError: without a download address; Slicer asks for one even where a custom downloader takes its place.
    """

    def __init__(self, **arguments):
        for name in _ARGUMENTS:
            setattr(self, name, arguments.get(name))
        if self.uris is None:
            raise TypeError("object of type 'NoneType' has no len()")


class SampleDataLogic:
    """The documented functions that a module may use."""

    @staticmethod
    def registerCustomSampleDataSource(**arguments):
        """Only the documented arguments are taken."""
        unknown = set(arguments) - set(_ARGUMENTS)
        if unknown:
            raise TypeError(f"registerCustomSampleDataSource has no argument {sorted(unknown)}")
        sources = slicer.modules.sampleDataSources.setdefault(arguments["category"], [])
        if arguments["sampleName"] not in [source.sampleName for source in sources]:
            sources.append(SampleDataSource(**arguments))

    @staticmethod
    def hostClick(sampleName):
        """Click the button of a sample in the module's panel: the one way to a custom downloader.

        Returns:
            what the custom downloader returns.
        """
        sources = [source for category in slicer.modules.sampleDataSources.values() for source in category]
        source = next(item for item in sources if item.sampleName == sampleName)
        return source.customDownloader(source)


def build():
    """Make the module `SampleData` and enter it in sys.modules."""
    slicer.modules.sampleDataSources = {}
    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    sys.modules["SampleData"] = module
    return module
