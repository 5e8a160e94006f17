"""The devices that come along, files of a user's own, and files that are none."""

from __future__ import annotations

import pytest

from multiprof import Device, Energy, UsageError, devices

GOOD = """
[mine]
title = "My board"
rates = { float32 = 2e9, int8 = 8e9 }
bandwidth = 1e9
caches = [[1024, 4e9]]
reads = [[2048, 3e9]]
kernels = { linear = { float32 = 1e9 } }
operands = { linear = { float32 = { x = 1e9, y = 2e9 } } }
memory = 1e6
overhead = 1e-6
source = "measured"
energy = { operations = { float32 = 3.0 }, byte = 100.0, source = "a paper" }

[other]
rates = { float32 = 1 }
bandwidth = 2
energy = "45nm"
source = "guess"
"""


def test_all_fields_of_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    mine, other = devices.read(path)
    assert mine == Device(
        "mine",
        {"float32": 2e9, "int8": 8e9},
        1e9,
        "measured",
        "My board",
        caches=((1024, 4e9),),
        kernels={"linear": {"float32": 1e9}},
        operands={"linear": {"float32": {"x": 1e9, "y": 2e9}}},
        reads=((2048, 3e9),),
        overhead=1e-6,
        memory=1_000_000,
        energy=Energy({"float32": 3.0}, 100.0, "a paper"),
    )
    assert (other.name, other.rates, other.bandwidth) == ("other", {"float32": 1}, 2)
    # half of a multiplication of 3.7 pJ and an addition of 0.9 each; 8 bytes of DRAM take 1300 to 2600 pJ
    assert other.energy.operations["float32"] == pytest.approx((3.7 + 0.9) / 2)
    assert other.energy.byte == (1300 + 2600) / 2 / 8


def test_the_devices_that_come_along_are_described_in_full():
    known = list(devices.multiprof_devices())
    assert len(known) == len({device.name for device in known}) >= 20
    assert all(device.title and device.kind and len(device.source) > 10 for device in known)
    by_name = {device.name: device for device in known}
    # the same products that their sources spell out
    assert by_name["xeon-8380"].rates["float32"] == pytest.approx(40 * 2.3e9 * 2 * 16 * 2)
    assert by_name["xeon-8380"].bandwidth == pytest.approx(8 * 8 * 3200e6)
    assert by_name["epyc-7763"].rates["float32"] == pytest.approx(64 * 2.45e9 * 2 * 8 * 2)
    assert by_name["graviton2"].rates["int8"] == pytest.approx(64 * 2.5e9 * 2 * 16 * 2)
    assert by_name["graviton3"].rates["float32"] == pytest.approx(64 * 2.6e9 * 2 * 8 * 2)
    assert by_name["graviton3"].bandwidth == pytest.approx(8 * 8 * 4800e6)
    assert by_name["core-i7-12700k"].rates["float32"] == pytest.approx(8 * 4.7e9 * 2 * 8 * 2)
    assert by_name["snapdragon-865-cpu"].rates["float32"] == pytest.approx(
        (2.84e9 + 3 * 2.42e9) * 2 * 4 * 2 + 4 * 1.8e9 * 4 * 2
    )
    assert by_name["raspberry-pi-5"].rates["float32"] == pytest.approx(4 * 2.4e9 * 2 * 4 * 2)
    assert by_name["raspberry-pi-5"].bandwidth == pytest.approx(4 * 4267e6, rel=0.01)
    assert by_name["jetson-nano"].rates["float32"] == pytest.approx(128 * 921.6e6 * 2, rel=0.001)
    assert by_name["stm32h743"].rates["float32"] == 480e6 * 2
    assert by_name["stm32h743"].bandwidth == 8 * 240e6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a", "is no TOML: "),
        ("a = 1", "device a: is no table; write [name] above its rates, bandwidth and source"),
        ("[a]\nbandwidth = 1\nsource = ''", "device a: rates is missing"),
        ("[a]\nrates = {float32 = 1}\nsource = ''", "device a: bandwidth is missing"),
        (
            "[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\nwatts = 3",
            "device a: 'watts' is no field; ",
        ),
        ("[a]\nrates = {float32 = 'x'}\nbandwidth = 1\nsource = ''", "device a: rates.float32 is 'x'; give a positive"),
        (
            "[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\nenergy = '1nm'",
            "device a: energy '1nm' is no ",
        ),
        ("[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\ncaches = [[1]]", "device a: "),
        ("[a]\nrates = 3\nbandwidth = 1\nsource = ''", "device a: "),
        ("[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\nenergy = {byte = 1}", "device a: "),
        ("", "describes no device; write [name] above"),
        (f"[a]\nrates = {{float32 = 1}}\nsource = ''\nbandwidth = 1{'0' * 400}", "device a: bandwidth is 1"),
        (f"[a]\nrates = {{float32 = 1}}\nsource = ''\nbandwidth = 1{'0' * 5000}", "is no TOML: "),
        ("[a]\nrates = {float32 = 1}\nbandwidth = true\nsource = ''", "device a: bandwidth is True; give a positive"),
        ("[a]\nrates = {float32 = 1}\nbandwidth = 1e-300\nsource = ''", "device a: bandwidth is 1e-300; give a pos"),
        ("[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = 3", "device a: source is 3; give a text"),
        ("['']\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''", "device : name is ''; give a text"),
        ("[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\nmemory = inf", "device a: cannot convert float inf"),
        ("[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\nmemory = -3", "device a: memory is -3; give a pos"),
        ("[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\ncaches = [[inf, 1]]", "device a: cannot convert"),
        (
            "[a]\nrates = {float32 = 1}\nbandwidth = 1\nsource = ''\ncaches = [[2, 1], [1, 1]]",
            "device a: caches are of [2, 1] bytes; give small ones first",
        ),
    ],
)
def test_a_file_that_describes_none_is_one_line(tmp_path, text, said):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        list(devices.read(path))
    assert str(error.value).startswith(f"{path}: {said}")
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read: No such file or directory"):
        list(devices.read(tmp_path / "none.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"bytes\.toml: cannot be read: "):
        list(devices.read(tmp_path / "bytes.toml"))
    (tmp_path / "long.toml").write_bytes(b"#" * (devices.LARGEST + 1))
    with pytest.raises(UsageError, match=r"a file of more than 1,048,576 bytes describes no devices"):
        list(devices.read(tmp_path / "long.toml"))
