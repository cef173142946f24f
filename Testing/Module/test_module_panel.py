"""The panel: tall enough for one screen, nothing cut off, everything explained."""

import re

import pytest

from Testing.Module.conftest import MODULE_FOLDER, add_ct, place, wait_for_image

PANEL_WIDTH = 460
ROOM_AT_1080P = 690
"""Height of the panel on this host that fits on a screen of 1080 lines.

Slicer leaves about 760 pixels there (name of the module, help and Data Probe take the rest), and its style is larger:
a panel that wants 910 pixels here wanted 989 in Slicer 5.13.
"""
PARTS = (
    "curveSection", "moveSection", "shapeSection", "advancedSection", "needleSection", "keepSection", "streamSection",
    "alignSection",
)  # fmt: skip


@pytest.fixture(params=[1.0, 1.5], ids=["100%", "150%"])
def scaled(request, host):
    """The module with a CT and a transducer, in a font of this size."""
    usual = host.qtApplication.font()
    larger = host.qtApplication.font()
    larger.setPointSizeF(request.param * usual.pointSizeF())
    host.qtApplication.setFont(larger)
    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    widget.logic.getParameterNode().volume = add_ct()
    widget.ui.modalityCombo.currentIndex = 1
    wait_for_image(host, widget, lambda: place(widget, (0, 0, 40), (0, 0, 0)))
    yield widget
    host.unload_module()
    host.qtApplication.setFont(usual)


def visible(widget, className):
    import slicer

    children = slicer.util.findChildren(widget.parent, className=className)
    return [child for child in children if child.visible]


def test_panel_fits_on_one_screen(host, placed, tmp_path):
    assert host.screenshot_panel(tmp_path / "panel.png", PANEL_WIDTH) <= ROOM_AT_1080P


def test_no_text_is_cut_off(host, scaled, tmp_path):
    scaled.parent.show()
    for part in (None, *PARTS):
        if part is not None:
            getattr(scaled.ui, part).collapsed = False
        width = max(PANEL_WIDTH, scaled.parent.minimumSizeHint().width())
        host.screenshot_panel(tmp_path / "panel.png", width)
        for widget in visible(scaled, "QLabel") + visible(scaled, "QPushButton") + visible(scaled, "QCheckBox"):
            if widget.property("wordWrap") or not widget.text:
                continue
            needed = widget.fontMetrics().horizontalAdvance(widget.text)
            text = f"{part}, {widget.name}: {widget.text!r} needs {needed} and has {widget.width} pixels"
            assert widget.width >= needed, text
    scaled.parent.hide()


def test_only_the_rows_of_this_fan_show(host, placed):
    """Also after the section was expanded, and for another kind of probe."""
    ui = placed.ui
    placed.parent.show()
    ui.shapeSection.collapsed = False
    assert (ui.fieldOfViewSlider.visible, ui.radiusSlider.visible, ui.widthSlider.visible) == (True, True, False)
    wait_for_image(host, placed, lambda: setattr(ui.kindCombo, "currentIndex", 2))
    assert (ui.fieldOfViewSlider.visible, ui.radiusSlider.visible, ui.widthSlider.visible) == (False, False, True)
    placed.parent.hide()


def test_every_control_has_a_tooltip(widget):
    import slicer

    ui = slicer.util.childWidgetVariables(widget.parent)
    files = sorted((MODULE_FOLDER / "Resources" / "UI").glob("*.ui"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    controls = re.findall(r'class="(?:QPushButton|QComboBox|ctkSliderWidget|QSpinBox|QCheckBox|qMRMLNodeComboBox)" '
                          r'name="(\w+)"', text)  # fmt: skip
    assert len(controls) > 30
    for name in controls:
        assert getattr(ui, name).toolTip, name


def test_lengths_and_angles_have_units(widget):
    ui = widget.ui
    for name, suffix in (("depthSlider", " mm"), ("radiusSlider", " mm"), ("fieldOfViewSlider", " °"),
                         ("frequencySlider", " MHz"), ("gainSlider", " dB"), ("panSlider", " mm"),
                         ("tiltSlider", " °"), ("needleLengthSlider", " mm"),
                         ("needleDiameterSlider", " mm")):  # fmt: skip
        assert getattr(ui, name).suffix == suffix


@pytest.mark.slow
def test_opening_imports_no_torch(host):
    """In a process of its own: the panel opens, and torch is not even imported."""
    import subprocess
    import sys

    script = (
        "import sys; from Testing.Host import start_host; host = start_host(); "
        f"host.load_module({str(MODULE_FOLDER)!r}, 'DiffUS'); host.process_events(0.1); "
        "assert 'torch' not in sys.modules; assert not host.failures.entries; host.close()"
    )
    subprocess.run([sys.executable, "-c", script], cwd=MODULE_FOLDER.parent, check=True, timeout=120)


@pytest.mark.slow
def test_module_opens_without_a_main_window(host):
    import subprocess
    import sys

    script = (
        "from Testing.Host import start_host; host = start_host(main_window=False); "
        f"widget = host.load_module({str(MODULE_FOLDER)!r}, 'DiffUS'); widget.ui.sampleButton.click(); "
        "host.wait_until(lambda: widget.session.parameters.volume is not None, 60); "
        "widget.ui.addButton.click(); host.wait_until(lambda: widget.session.transducer is not None, 60); "
        "host.process_events(1.0); assert not host.failures.entries, host.failures.entries; host.close()"
    )
    subprocess.run([sys.executable, "-c", script], cwd=MODULE_FOLDER.parent, check=True, timeout=150)


def test_wrapped_texts_of_an_alignment_have_their_height(host, widget):
    """Also when a longer text comes while the panel shows."""
    ui = widget.ui
    for section in (ui.volumeSection, ui.transducerSection, ui.imageSection):
        section.collapsed = True
    ui.alignSection.collapsed = False
    widget.parent.resize(PANEL_WIDTH, ROOM_AT_1080P)
    widget.parent.show()
    labels = (ui.alignChain, ui.alignVerdict, ui.alignFigures)
    for repeats in (2, 5, 1):
        for label in labels:
            label.setVisible(True)
            label.text = "The images agree far better than at random places. " * repeats
        host.process_events(0.1)
        for label in labels:
            assert label.height >= label.heightForWidth(label.width), label.name
    widget.parent.hide()
