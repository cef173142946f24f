"""The user's story in a real Slicer, unattended.

    Slicer --no-splash --additional-module-paths <repository>/DiffUS --python-script user_story.py <output folder>

Do not pass --testing: Slicer would quit before any timer fires. Writes screenshots of the whole window, files and
result.txt to the folder; ends Slicer with exit code 0, or 1 if an assertion failed.
"""


def _start():
    """In a function, with the stories in modules: Slicer runs this file in __main__, whose names it deletes later."""
    import os
    import sys

    import slicer

    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import align_story
    import image_story
    import own_test_class
    import unattended

    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(slicer.app.temporaryPath, "DiffUS")
    stories = [
        image_story.fromSampleHeadToReopenedScene,
        align_story.alignDisplacedSweep,
        own_test_class.ownTestOfTheModule,
    ]
    unattended.run(stories, folder)


_start()
