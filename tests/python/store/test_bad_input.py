# SPDX-License-Identifier: Apache-2.0
"""Locked, cut off, foreign, newer, hostile studies and a full disk: a typed error that says what to do, and what was
stored before is still there."""

import os
import subprocess

import h5py
import numpy as np
import pytest
import torch
from study_cases import FakeFeatures, child, fill, make_image, make_mask

import vesalius as vs
from vesalius._vesalius.store import verify_in_process
from vesalius.cli import main


def snapshot(path):
    """Everything a study holds, for comparison."""
    with vs.Study(path, mode="r") as study:
        return {
            "voxels": [study.image(s).tensor.sum().item() + study.mask(s).tensor.sum().item() for s in study.subjects],
            "clinical": study.clinical.to_dict(),
            "outcomes": study.outcomes.to_dict(),
            "features": study.features().to_dict(),
            "subjects": study.subjects,
        }


@pytest.fixture
def filled(path):
    with vs.Study(path) as study:
        fill(study, 3)
        study.add_features("p001", FakeFeatures())
        study.add_predictions("model", {"p000": 0.5})
    return path


# Locks


def test_locked_by_this_process(filled):
    with vs.Study(filled):
        with pytest.raises(vs.IoError, match=rf'being written by process {os.getpid()} on .*mode "r"'):
            vs.Study(filled)
        with pytest.raises(OSError, match="being written"):
            vs.store.repair(filled)
        assert vs.Study(filled, mode="r").subjects == ["p000", "p001", "p002"]
    assert not filled.with_name("study.h5.lock").exists()
    vs.Study(filled).close()


def test_locked_by_another_process_until_it_is_killed(filled):
    """Mechanics: the lock names its holder, and ends with it however it ends."""
    with child(
        "study = vs.Study(sys.argv[1]); print('locked', flush=True); sys.stdin.read()", filled, stdin=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(vs.IoError, match=f"process {other.pid} on "):
            vs.Study(filled)
        other.kill()
        other.wait()
        assert filled.with_name("study.h5.lock").exists()  # stale, and no obstacle
        with vs.Study(filled) as study:
            fill(study, 1, start=3)


# Damaged files


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_index_cut_off(filled, share):
    before = snapshot(filled)
    whole = filled.read_bytes()
    filled.write_bytes(whole[: int(len(whole) * share)])
    for mode in ("r", "a"):
        with pytest.raises(vs.FormatError, match="repair"):
            vs.Study(filled, mode=mode)
    problems = vs.store.repair(filled)
    assert len(problems) == 1 and "predictions" in problems[0]
    assert snapshot(filled) == before


def test_index_lost(filled):
    before = snapshot(filled)
    filled.unlink()
    with pytest.raises(vs.IoError, match="repair"):
        vs.Study(filled)
    assert not filled.exists()
    assert vs.store.repair(filled) == []
    assert snapshot(filled) == before


def test_repair_of_a_sound_study_changes_nothing(filled):
    before = snapshot(filled)
    assert vs.store.repair(filled) == []
    assert snapshot(filled) == before
    with vs.Study(filled, mode="r") as study:
        assert study.predictions()["model"].loc["p000", "prediction"] == 0.5


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_case_cut_off(filled, share):
    case = filled.parent / "study.cases" / "p001.h5"
    whole = case.read_bytes()
    case.write_bytes(whole[: int(len(whole) * share)])
    with vs.Study(filled) as study:
        with pytest.raises(vs.FormatError, match="p001.h5"):
            study.image("p001")
        assert torch.equal(study.image("p002").tensor, make_image(2).tensor)
        fill(study, 1, start=3)
        assert study.subjects == ["p000", "p001", "p002", "p003"]
    assert "p001.h5" in verify_in_process(str(filled))[0]
    problems = vs.store.repair(filled)
    assert len(problems) == 1 and "p001.h5" in problems[0]
    with vs.Study(filled) as study:  # its rows of the tables are kept, and the case can be added again
        assert study.clinical.loc["p001", "age"] == 51
        study.add("p001", image=make_image(1), mask=make_mask(make_image(1)), overwrite=True)
    assert verify_in_process(str(filled)) == []


def test_changed_voxels(filled):
    """Mechanics: a checksum is there to be compared."""
    with h5py.File(filled.parent / "study.cases" / "p001.h5", "r+") as file:
        file["images/image"][1, 2, 3] += 1
    with vs.Study(filled, mode="r") as study:
        with pytest.raises(vs.FormatError, match="not those that were stored"):
            study.image("p001")
        assert study.image("p001", verify=False).shape == (4, 6, 5)
    assert "not those that were stored" in str(verify_in_process(str(filled)))


def test_missing_case_file(filled):
    (filled.parent / "study.cases" / "p001.h5").unlink()
    with vs.Study(filled, mode="r") as study, pytest.raises(vs.IoError, match=r"p001.h5: No such file"):
        study.image("p001")
    assert "is gone" in vs.store.repair(filled)[0]


def test_not_hdf5_and_not_a_study(path):
    path.write_bytes(b"Patient;Age\n" * 100)
    with pytest.raises(vs.FormatError, match="not an HDF5 file"):
        vs.Study(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(vs.FormatError, match="not a vesalius-study"):
        vs.Study(path)
    with pytest.raises(vs.IoError, match="nothing to repair"):
        vs.store.repair(path)
    with pytest.raises(vs.IoError):
        vs.Study(path.parent, mode="r")


def test_newer_version(filled):
    with h5py.File(filled, "r+") as file:
        file.attrs["version"] = 7
    for use in (lambda: vs.Study(filled), lambda: vs.store.repair(filled)):
        with pytest.raises(vs.NotSupported, match=r"version 7; this Vesalius .* reads up to 1"):
            use()
    assert "version 7" in str(verify_in_process(str(filled)))


def test_no_permission_and_no_folder(filled, tmp_path):
    with pytest.raises(vs.IoError, match="No such file"):
        vs.Study(tmp_path / "nowhere" / "study.h5")
    with pytest.raises(vs.InvalidArgument, match="path of a file"):
        vs.Study("")


# A full disk


def test_full_disk(filled):
    """Mechanics: RLIMIT_FSIZE stands in for the full disk: the write fails in the same place."""
    before = snapshot(filled)
    code = """
        import resource
        study = vs.Study(sys.argv[1])
        big = make_image(7, shape=(40, 60, 50))
        for limit in (100, 6000, 15000):  # nothing fits; small files do; the index does, the voxels do not
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            for attempt in (
                lambda: study.add("big", image=big, mask=make_mask(big)),
                lambda: study.add("p000", image=big, overwrite=True),
                lambda: study.add_mask("p000", make_mask(make_image(0)), name="more"),
                lambda: study.add_features("p000", FakeFeatures()),
                lambda: study.set_clinical("p000", {"age": 50}),
                lambda: study.add_predictions("more", {"p000": 1.0}),
            ):
                try:
                    attempt()
                    print(limit, "stored")
                except vs.IoError as error:
                    print(limit, "IoError", error)
            assert "big" not in study.subjects
        try:
            vs.store.pack(sys.argv[1], sys.argv[1] + ".packed")
        except vs.IoError as error:
            print("pack", error)
        study.close()
    """
    process = child(code, filled)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    lines = out.splitlines()
    assert len(lines) == 19
    for line in lines[:12]:
        assert (
            "IoError can't write" in line and "File too large" in line and "what was stored before is unchanged" in line
        ), out
    assert all("IoError" in line for line in lines[12:14])
    assert lines[-1].startswith("pack can't write") and "there is room for 14 KiB" in lines[-1]
    after = snapshot(filled)
    assert {**after, "features": None} == {**before, "features": None}  # the third round stored some features
    assert after["features"]["stat_mean"]["p001"] == before["features"]["stat_mean"]["p001"]
    assert verify_in_process(str(filled)) == []
    assert sorted(p.name for p in filled.parent.iterdir()) == ["study.cases", "study.h5"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a really full disk needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_really_full_disk(small_disk):
    """Mechanics: ENOSPC."""
    stored = 0
    with vs.Study(small_disk / "study.h5") as study, pytest.raises(vs.IoError, match="No space left on device"):
        for i in range(100):
            study.add(f"p{i:03}", image=make_image(i, shape=(10, 30, 30)))
            stored += 1
    assert 2 < stored < 100
    with vs.Study(small_disk / "study.h5", mode="r") as study:
        assert study.subjects == [f"p{i:03}" for i in range(stored)]
        assert torch.equal(study.image(f"p{stored - 1:03}").tensor, make_image(stored - 1, shape=(10, 30, 30)).tensor)


def test_packing_onto_a_full_disk(filled, small_disk):
    """Mechanics: a disk that fills although the size was looked at before: one dataset under ten names. HDF5 must not
    crash over it later, when the process ends."""
    with h5py.File(filled.parent / "study.cases" / "p001.h5", "r+") as file:
        voxels = file.create_dataset("images/a", data=np.random.default_rng(1).random((1, 100, 200)), chunks=True)
        for i in range(10):
            file[f"images/a{i}"] = voxels
    process = child(
        """
        try:
            vs.store.pack(sys.argv[1], sys.argv[2])
        except vs.IoError as error:
            print("IoError", error)
        fill(vs.Study(sys.argv[1]), 1, start=5)  # HDF5 goes on working
        """,
        filled,
        small_disk / "packed.h5",
    )
    out, err = process.communicate()
    assert process.returncode == 0 and out.startswith("IoError can't write") and "No space left" in out, (out, err)
    assert list(small_disk.iterdir()) == []


# Studies from strangers


def test_links_that_leave_the_folder(filled, tmp_path):
    secret = tmp_path.parent / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["voxels"] = np.arange(10)
    with h5py.File(filled, "r+") as file:
        del file["cases/p001"]
        file["cases/p001"] = h5py.ExternalLink("../secret.h5", "/")
    assert "/cases/p001 is a link that leads out" in str(verify_in_process(str(filled)))
    vs.store.repair(filled)
    assert verify_in_process(str(filled)) == []
    case = filled.parent / "study.cases" / "p001.h5"
    with h5py.File(case, "r+") as file:
        del file["images/image"]
        file["images/image"] = h5py.ExternalLink(str(secret), "/voxels")
    assert "leads out of the study" in str(verify_in_process(str(filled)))
    with vs.Study(filled, mode="r") as study, pytest.raises(vs.FormatError, match="somewhere else, which is refused"):
        study.image("p001")


@pytest.mark.parametrize("kind", ["external", "virtual", "bomb", "filter"])
def test_voxels_that_are_not_in_the_file(filled, tmp_path, kind):
    """Mechanics: a study can't make Vesalius read another file or allocate what is not stored."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"secret" * 1000)
    with h5py.File(filled.parent / "study.cases" / "p001.h5", "r+") as file:
        attributes = dict(file["images/image"].attrs)
        del file["images/image"]
        if kind == "external":
            new = file.create_dataset("images/image", (4, 6, 5), "u1", external=[(str(secret), 0, 120)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4, 6, 5), "f4")
            layout[:] = h5py.VirtualSource("p000.h5", "images/image", (4, 6, 5))
            new = file["images"].create_virtual_dataset("image", layout)
        elif kind == "bomb":
            new = file.create_dataset(
                "images/image", (2**20, 2**20, 2**10), "f4", chunks=(1, 64, 64), compression="gzip"
            )
        else:
            new = file.create_dataset("images/image", (4, 6, 5), "f4", chunks=(4, 6, 5), compression="lzf")
        for name, value in attributes.items():
            new.attrs[name] = value
    with vs.Study(filled, mode="r") as study:
        with pytest.raises(vs.FormatError, match="another file|claims|filter"):
            study.image("p001")
        assert study.image("p000").shape == (4, 6, 5)
    assert verify_in_process(str(filled)) != []


def test_hostile_folder(filled):
    for folder in ("..", "../x", "/etc"):
        with h5py.File(filled, "r+") as file:
            file.attrs["cases_folder"] = folder
        with pytest.raises(vs.FormatError, match="not a folder beside"):
            vs.Study(filled, mode="r")


@pytest.mark.parametrize("where", ["study.h5", "study.cases/p001.h5", "study.cases/features/p001.h5"])
def test_random_damage_gives_typed_errors(filled, where):
    """Mechanics: flipped bytes anywhere end in a Vesalius error or in a study whose checksums hold. In a process of
    its own, for HDF5 1.10 itself may crash (counted, and 1 in 4 allowed; Vesalius's part is not to add to it)."""
    process = child(
        """
        import random, pathlib, os
        index, victim = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
        whole = victim.read_bytes()
        random.seed(3)
        crashed = 0
        for round in range(12):
            bytes_ = bytearray(whole)
            for _ in range(random.choice([1, 4, 40])):
                bytes_[random.randrange(len(bytes_))] = random.randrange(256)
            victim.write_bytes(bytes_)
            pid = os.fork()
            if pid == 0:
                code = 0
                try:
                    with vs.Study(index, mode="r") as study:
                        for subject in study.subjects:
                            assert torch.equal(study.image(subject).tensor, make_image(int(subject[1:])).tensor)
                        study.features(), study.clinical, study.provenance
                except vs.Error:
                    pass
                except AssertionError:
                    code = 0 if index == victim else 3
                except BaseException as error:
                    print(repr(error), flush=True)
                    code = 4
                os._exit(code)
            status = os.waitpid(pid, 0)[1]
            if os.WIFSIGNALED(status):
                crashed += 1
            else:
                assert os.WEXITSTATUS(status) == 0, os.WEXITSTATUS(status)
        print("crashed", crashed)
        """,
        filled,
        filled.parent / where,
    )
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert int(out.split()[-1]) <= 3, out


def test_verify_in_a_process_of_its_own(filled):
    report = vs.store.verify(filled)
    assert report.ok and report and str(report).endswith("all is well")
    with h5py.File(filled.parent / "study.cases" / "p001.h5", "r+") as file:
        file["images/image"][1, 2, 3] += 1
    report = vs.store.verify(filled)
    assert not report and len(report.problems) == 1 and "not those that were stored" in str(report)
    with pytest.raises(vs.IoError, match="no study"):
        vs.store.verify(filled.with_name("none.h5"))


def test_verify_survives_a_crash(filled, monkeypatch):
    """Mechanics: what HDF5 does to the checking process is a sentence in the report."""
    monkeypatch.setattr("sys.executable", str(filled.parent / "crashes"))
    (filled.parent / "crashes").write_text("#!/bin/sh\nkill -SEGV $$\n")
    (filled.parent / "crashes").chmod(0o755)
    assert "SIGSEGV" in str(vs.store.verify(filled))


def test_command_line(filled, capsys):
    """`vesalius repair`, `verify`, `pack`: what messages tell people to type."""
    before = snapshot(filled)
    whole = filled.read_bytes()
    filled.write_bytes(whole[:100])
    assert main(["info", str(filled)]) == 1 and "`vesalius repair`" in capsys.readouterr().err
    assert main(["repair", str(filled)]) == 0 and snapshot(filled) == before
    assert main(["pack", str(filled), str(filled.with_name("one.h5"))]) == 0
    assert main(["pack", "--unpack", str(filled.with_name("one.h5")), str(filled.with_name("back.h5"))]) == 0
    assert snapshot(filled.with_name("back.h5")) == before
    capsys.readouterr()
    assert main(["info", "--json", str(filled)]) == 0 and '"subjects": 3' in capsys.readouterr().out
    (filled.parent / "study.cases" / "p001.h5").write_bytes(b"")
    assert main(["verify", str(filled)]) == 1 and "p001.h5" in capsys.readouterr().err
