"""What is read of a runtime's words: kernels, shapes, instruction sets."""

from __future__ import annotations

import pytest

from ptdq.host.machine import ISA_CAP, cpu_flags
from ptdq.profile.instructions import BY_CPU, in_words, of_kernel, of_operation
from ptdq.profile.onednn import mkl_kernel, primitives
from ptdq.profile.operation import Operation, product, together

LINES = """\
onednn_verbose,v1,info,oneDNN v3.9.1
onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with float16, Intel DL Boost and bfloat16 support
onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx512_core_vnni,undef,src:u8::blocked:ab::f0 \
wei:s8:a:blocked:BA16a64b4a::f0 dst:f32::blocked:ab::f0,attr-scratchpad:user attr-scales:src0:0:f32,,\
128x768:768x3072,0.25
onednn_verbose,v1,primitive,exec,cpu,inner_product,brgemm:avx10_1_512_amx,forward_inference,\
src_bf16::blocked:ab::f0 wei_bf16:a:blocked:AB16b64a2b::f0 dst_bf16::blocked:ab::f0,,,mb7ic768oc16,0.0125
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:ab::f0 \
dst:s8::blocked:ab::f0,,,128x768,0.01
not of oneDNN
""".splitlines()
MKL = (
    "MKL_VERBOSE oneMKL 2024.0 Update 2 Product build 20240605 for Intel(R) 64 architecture Intel(R) "
    "Advanced Vector Extensions 512 (Intel(R) AVX-512) with support for INT8, BF16 instructions, and "
    "Intel(R) Advanced Matrix Extensions (Intel(R) AMX) with INT8 and BF16, Lnx 2.10GHz lp64 gnu_thread"
)


def test_lines_of_onednn() -> None:
    first, second, third = primitives(LINES)
    assert (first.kind, first.kernel, first.numbers) == ("matmul", "brg_matmul:avx512_core_vnni", "int8")
    assert (first.result, second.result, third.result) == ("float32", "bfloat16", "int8")
    assert (first.shape, first.seconds) == ((128, 768, 3072), 0.25e-3)
    assert (second.kernel, second.numbers, second.shape) == (
        "brgemm:avx10_1_512_amx",
        "bfloat16",
        (7, 768, 16),
    )
    assert (third.kind, third.shape) == ("reorder", None)


def test_mkl_names_amx_without_using_it_for_float32() -> None:
    kernel = mkl_kernel(["", MKL])
    assert of_kernel(kernel) == "AVX512"


@pytest.mark.parametrize(
    ("kernel", "instructions"),
    [
        ("brg_matmul:avx512_core_vnni", "AVX512_VNNI"),
        ("brgemm:avx10_1_512_amx", "AMX"),
        ("brgemm_avx512_amx_I8", "AMX"),
        ("jit:avx2_vnni_2", "AVX_VNNI"),
        ("brgemm_avx2_f32", "AVX2"),
        ("jit:avx512_core_bf16", "AVX512_BF16"),
        ("ref:any", "none (reference kernel)"),
        ("ref_any_FP32", "none (reference kernel)"),
        ("gemm:jit", None),
        ("prefetch", None),
    ],
)
def test_instruction_set_of_a_kernel(kernel: str, instructions: str | None) -> None:
    assert of_kernel(kernel) == instructions


def made(kernel: str = "", library: str = "", numbers: str = "int8", seconds: float = 1.0) -> Operation:
    part = "int8 products" if numbers == "int8" else "float products"
    return Operation("matmul", part, seconds, numbers=numbers, kernel=kernel, library=library)  # type: ignore[arg-type]


def test_what_no_runtime_says_is_marked() -> None:
    for library, flags, name in (
        ("MLAS", ["avx2", "avx512bw", "avx512_vnni", "amx_int8"], "AMX"),
        ("FBGEMM", ["avx2", "avx512bw", "avx512_vnni", "amx_int8"], "AVX512_VNNI"),
        ("FBGEMM", ["avx2"], "AVX2"),
    ):
        used = of_operation(made(library=library), flags)
        assert used is not None
        assert used.text == f"int8 {name} ({library}, {BY_CPU})"
    told = of_operation(made("brg:avx2", "oneDNN"), ["avx512_vnni"])
    assert told is not None
    assert told.text == "int8 AVX2 (oneDNN)"


def test_openvino_s_types_leave_vnni_out() -> None:
    for kernel, flags, text in (
        (
            "brgemm_avx512_i8",
            ["avx2", "avx512bw", "avx512_vnni"],
            f"int8 AVX512_VNNI (OpenVINO, {BY_CPU})",
        ),
        ("brgemm_avx512_i8", ["avx2", "avx512bw"], f"int8 AVX512 (OpenVINO, {BY_CPU})"),
        ("brgemm_avx2_i8", ["avx2", "avx512bw", "avx512_vnni"], f"int8 AVX2 (OpenVINO, {BY_CPU})"),
        ("brgemm_avx512_amx_i8", ["avx512_vnni", "amx_int8"], "int8 AMX (OpenVINO)"),
    ):
        used = of_operation(made(kernel, "OpenVINO"), flags)
        assert used is not None
        assert used.text == text


def test_openvino_s_types_leave_avx512_bf16_out() -> None:
    for kernel, flags, text in (
        ("brgemm_avx512_bf16", ["avx512f", "avx512_bf16"], f"bfloat16 AVX512_BF16 (OpenVINO, {BY_CPU})"),
        ("brgemm_avx512_bf16", ["avx512f"], f"bfloat16 AVX512 (OpenVINO, {BY_CPU})"),
        ("brgemm_avx512_amx_bf16", ["avx512_bf16", "amx_bf16"], "bfloat16 AMX (OpenVINO)"),
    ):
        used = of_operation(made(kernel, "OpenVINO", "bfloat16"), flags)
        assert used is not None
        assert used.text == text


@pytest.mark.parametrize(
    ("numbers", "instructions"),
    [
        ("int8", "AVX512_VNNI"),
        ("bfloat16", "AVX512_BF16"),
        ("float32", "AVX512"),
        ("float16", "AVX512_FP16"),
    ],
)
def test_a_kernel_of_a_newer_extension_uses_what_its_numbers_have(
    numbers: str, instructions: str
) -> None:
    # As oneDNN names its int8 kernels on a CPU with AMX where the shape does not suit that.
    used = of_operation(made("brg_matmul:avx512_core_fp16", "oneDNN", numbers), [])
    assert used is not None
    assert used.text == f"{numbers} {instructions} (oneDNN)"


def test_what_takes_most_comes_first_and_little_is_left_out() -> None:
    found = [
        made("jit:avx2", "oneDNN", "float32", 3.0),
        made("brg:avx2", "oneDNN", "int8", 6.0),
        made("ref:any", "oneDNN", "bfloat16", 0.01),
        Operation("softmax", "attention", 5.0, numbers="float32"),
    ]
    assert in_words(found, []) == "int8 AVX2 (oneDNN); float32 AVX2 (oneDNN)"
    assert in_words(found[3:], []) is None


def test_the_cap_is_onednn_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    uncapped = cpu_flags()
    monkeypatch.setenv(ISA_CAP, "AVX2")
    assert cpu_flags(capped=False) == uncapped
    assert not {flag for flag in cpu_flags() if flag.startswith(("avx512", "amx"))}


def test_alike_operations_are_one() -> None:
    one = Operation("a", "attention", 1.0)
    found = together([one, Operation("b", "framework", 5.0), one])
    assert [(each.name, each.seconds, each.calls) for each in found] == [("b", 5.0, 1), ("a", 2.0, 2)]
    assert product((2, 3, 5)) == {"shape": "2x3x5", "multiply_adds": 30}
