"""Waiting for what a picture is to show."""

EMPTY_PX = 8
"""Edge of the image of a transducer that has rendered nothing yet."""


def wait_for_image(host, session, seconds=300):
    """Until the transducer's live image is there, and the last one of its move."""

    def is_there():
        image = session.transducer.existingImage() if session.transducer is not None else None
        isRendered = image is not None and image.GetImageData().GetDimensions()[0] > EMPTY_PX
        return isRendered and session.image.renderer.isIdle

    host.wait_until(is_there, seconds)
    host.process_events(0.5)
