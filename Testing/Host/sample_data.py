"""Stand-in for Slicer's SampleData module: sources are registered, and taken by name."""

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
    "sampleDescription",
]


class SampleDataSource:
    """One source; it has an attribute for each argument of registerCustomSampleDataSource."""

    def __init__(self, **arguments):
        for name in _ARGUMENTS:
            setattr(self, name, arguments.get(name))


class SampleDataLogic:
    """The documented functions that a module may use."""

    sources = []

    @staticmethod
    def registerCustomSampleDataCategory(category, title):
        pass

    @staticmethod
    def registerCustomSampleDataSource(**arguments):
        """Only the documented arguments are taken."""
        unknown = set(arguments) - set(_ARGUMENTS)
        if unknown:
            raise TypeError(f"registerCustomSampleDataSource has no argument {sorted(unknown)}")
        known = [source.sampleName for source in SampleDataLogic.sources]
        if arguments.get("sampleName") not in known:
            SampleDataLogic.sources.append(SampleDataSource(**arguments))

    def downloadSamples(self, sampleName):
        source = next((item for item in self.sources if item.sampleName == sampleName), None)
        if source is None:
            raise RuntimeError(f"no sample data source is named {sampleName}")
        if source.customDownloader is None:
            raise RuntimeError(f"{sampleName} needs a network")
        return source.customDownloader(source)


def build():
    """Make the module `SampleData` and enter it in sys.modules."""
    SampleDataLogic.sources = []
    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    module.downloadSample = lambda name: SampleDataLogic().downloadSamples(name)[0]
    module.downloadSamples = lambda name: SampleDataLogic().downloadSamples(name)
    sys.modules["SampleData"] = module
    return module
