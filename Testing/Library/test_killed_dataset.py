"""A data set whose run is killed halfway, with all its processes, is the same in the end."""

import pytest

pytest.importorskip("dask.distributed")
pytest.importorskip("pydantic")

from Testing import killed_dataset


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_makes_the_same_bytes(tmp_path, capsys):
    assert killed_dataset.main([str(tmp_path), "--frames", "160"]) == 0
    told = capsys.readouterr().out
    assert "All 160 frames" in told
    # A shard that is changed afterwards is found out: the check is no rubber stamp.
    shard = tmp_path / "killed" / "shard-000003.tar"
    content = bytearray(shard.read_bytes())
    content[700] ^= 1
    shard.write_bytes(content)
    wrong = killed_dataset.what_is_wrong(tmp_path, {}, 160)
    assert any("checksum" in sentence for sentence in wrong) and any("undisturbed" in sentence for sentence in wrong)
