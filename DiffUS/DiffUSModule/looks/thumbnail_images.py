"""Small pictures of looks; for a thread: touches neither MRML nor Qt."""

PIXELS = 56
_DETAIL = 4  # rendered so many times larger, then averaged: the grain of the look stays in proportion
_SPACING_MM = 3.0


def writeThumbnails(wanted):
    """Render the sample head in looks, and write a PNG of each.

    Args:
        wanted: {key: path}; the key is the name of a shipped look or the text of a look file.

    Returns:
        the keys that were written; a text that is no look is left out.
    """
    import torch

    from DiffUSLib import (
        Renderer,
        acoustic_maps,
        head_phantom,
        load_probe,
        look_at,
        one_core_left_free,
        write_image,
    )

    head, probe = head_phantom(_SPACING_MM), load_probe("craniotomy_curvilinear")
    pose, written, renderer = look_at(head.entry_ras_mm, head.target_ras_mm), [], None
    with one_core_left_free():
        maps = acoustic_maps(head.t1)
        for key, path in wanted.items():
            try:
                settings = _settings(key)
            except ValueError:
                continue
            with torch.inference_mode():
                if renderer is None:
                    renderer = Renderer(maps, probe, settings, "cpu")
                renderer = renderer.changed_to(settings=settings)
                image = torch.nn.functional.avg_pool2d(renderer(pose).image[None], _DETAIL)[0, 0]
            write_image(path, image.numpy())
            written.append(key)
    return written


def _settings(key):
    from DiffUSLib import Appearance, look_settings

    size = {"width_px": PIXELS * _DETAIL, "height_px": PIXELS * _DETAIL}
    if not key.lstrip().startswith("{"):
        return look_settings(key, **size)
    from dataclasses import replace

    return replace(Appearance.from_json(key).settings(), **size)
