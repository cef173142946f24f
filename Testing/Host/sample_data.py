"""Stand-in for Slicer's SampleData module: sources are registered, and offered as buttons."""

import sys
import types

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

    sources = []

    @staticmethod
    def registerCustomSampleDataSource(**arguments):
        """Only the documented arguments are taken."""
        unknown = set(arguments) - set(_ARGUMENTS)
        if unknown:
            raise TypeError(f"registerCustomSampleDataSource has no argument {sorted(unknown)}")
        known = [source.sampleName for source in SampleDataLogic.sources]
        if arguments.get("sampleName") not in known:
            SampleDataLogic.sources.append(SampleDataSource(**arguments))

    @staticmethod
    def hostClick(sampleName):
        """Click the button of a sample in the module's panel: the one way to a custom downloader.

        Returns:
            what the custom downloader returns.
        """
        source = next(item for item in SampleDataLogic.sources if item.sampleName == sampleName)
        return source.customDownloader(source)


def build():
    """Make the module `SampleData` and enter it in sys.modules."""
    SampleDataLogic.sources = []
    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    sys.modules["SampleData"] = module
    return module
