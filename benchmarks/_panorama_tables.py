"""What `unreel bench panorama` measured, as Markdown: one section a part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

from unreel.benchmarks import _tables
from unreel.benchmarks._panorama_4k import LIMIT

SEAM_GATE, CACHE_GATE, FLAT_GATE, FACE_GATE = 1.15, 1.5, 0.1, 15.0

NAMES = {
    "ours": "ours",
    "mirror-fill": "mirror-fill",
    "nearest": "nearest training panorama",
    "truth": "the truth",
}


def quality(found: dict[str, Any]) -> str:
    if "note" in found:
        return f"Quality on held-out panoramas: {found['note']}."
    photos, clips, far = found["photos"], found["clips"], found["frechet"]
    body = []
    for name, label in NAMES.items():
        real = name == "truth"
        body.append(
            [
                label,
                "" if real else f"{far['distance'][name]:.3f}",
                f"{far['real_halves'] if real else far['halves'][name]:.3f}",
                "" if real else f"{mean(row['outside_psnr_db'][name] for row in photos):.1f}",
                f"{mean(row['sharpness'][name] for row in photos):.2f}",
            ]
        )
    head = ("outside the view", "Frechet distance", "half against half", "PSNR, dB", "gradient energy over the truth's")
    lines = (
        (f"{len(photos)} photographs", photos, "inside"),
        ("the photographs themselves, laid on the faces", photos, "given"),
        (f"{len(clips)} turning clips", clips, "inside"),
    )
    within = [[n, _average(rows, f"{w}_psnr_db", 1), _average(rows, f"{w}_ssim", 3)] for n, rows, w in lines]
    within.append(["turning clips: seen before, out of sight now", _average(clips, "remembered_psnr_db", 1), ""])
    inside = _tables.markdown(("inside the view", "PSNR, dB", "SSIM"), within)
    note = (
        f"{len(found['sights'])} panoramas that were not trained on, three photographs (90 degrees wide, 4:3) and a "
        f"turning clip each. Frechet distance to {far['pictures']} crops of the truth that show nothing of the view, "
        f"in {far['dimensions']} features of `{far['network']}`: not an FID. Half against half: between one half of "
        "the crops and the other half of the truth's; the truth's own line there is the floor. "
        f"{_tables.caption(found['setting'])}"
    )
    return f"{inside}\n\n{_tables.markdown(head, body)}\n\n{note}"


def _average(rows: Sequence[dict[str, Any]], name: str, digits: int) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    return f"{mean(values):.{digits}f}" if values else ""


def seams(found: dict[str, Any]) -> str:
    body = [
        [name, f"{r['mean']:.2f}", f"{r['min']:.2f}-{r['max']:.2f}", f"{r['pooled']:.2f}"]
        for name, r in found["ratio"].items()
    ]
    shipped = found["ratio"]["as shipped"]["mean"]
    note = (
        f"Step across the 12 edges over the steps beside them, outside the view of {found['worlds']} photographs. "
        f"Wanted of the shipped model: {SEAM_GATE} or less ({_verdict(shipped <= SEAM_GATE)}). "
        f"Every edge of a face is also one of the network's cells of {found['cell']} pixels; step across those inside "
        f"faces over the other steps: {found['cells']['as shipped']['mean']:.2f}, of the truth "
        f"{found['cells']['truth']['mean']:.2f}. "
        f"{_tables.caption(found['setting'])}"
    )
    return f"{_tables.markdown(('seams', 'mean', 'range', 'all steps pooled'), body)}\n\n{note}"


def flicker(found: dict[str, Any]) -> str:
    rows = found["rows"]
    labels = {
        "change": "change from frame to frame, levels of 255",
        "change_most": "the same, the worst frame",
        "change_between_windows": "the same, from window to window",
        "moved_from_first_to_last": "change from the first window to the last, levels",
        "energy_late_over_early": "gradient energy, last window over first",
    }
    body = [
        [label, f"{mean(v):.3f}", f"{min(v):.3f}-{max(v):.3f}"]
        for name, label in labels.items()
        if (v := [row[name] for row in rows])
    ]
    note = f"Outside the view of {len(rows)} photographs, {found['frames']} frames. {_tables.caption(found['setting'])}"
    return f"{_tables.markdown(('a world that stands still', 'mean', 'range'), body)}\n\n{note}"


def motions(found: dict[str, Any]) -> str:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in found["rows"]:
        rows.setdefault(row["motion"], []).append(row)
    body = [
        [
            name,
            f"{mean(r['psnr_db']['mean'] for r in each):.1f}",
            f"{min(r['psnr_db']['min'] for r in each):.1f}",
            f"{min(r['face_psnr_db']['min'] for r in each):.1f}",
            f"{mean(r['seams'] for r in each):.2f}",
            f"{mean(r['seams_of_truth'] for r in each):.2f}",
        ]
        for name, each in rows.items()
    ]
    head = ("camera", "PSNR inside the view, dB", "worst frame", "worst face of a frame", "seams", "seams of the truth")
    worst = min(row["face_psnr_db"]["min"] for row in found["rows"])
    note = (
        f"{found['frames']} frames each of {len({row['sight'] for row in found['rows']})} panoramas that were not "
        f"trained on. A face that is wrong, turned or mirrored is below {FACE_GATE:g} dB: none may be "
        f"({_verdict(worst >= FACE_GATE)}). {_tables.caption(found['setting'])}"
    )
    return f"{_tables.markdown(head, body)}\n\n{note}"


def speed(found: dict[str, Any]) -> str:
    body = [
        [
            name,
            _range(film["frames_per_s"], 2),
            _range(film["model_frames_per_s"], 2),
            f"{film['chunk_s']['p50']:.3f}",
            f"{film['chunk_s']['p95']:.3f}",
            f"{found['pairs'][name]:.0f}",
            _tables.megabytes(film["context_bytes"]),
        ]
        for name, film in found["films"].items()
    ]
    head = (
        "films of a photograph", "frames/s end to end", "in the model", "s per face, p50", "p95",
        "thousand pairs attended", "context MB",
    )  # fmt: skip
    cache, film = found["cache"], found["films"]["as shipped"]
    seconds = cache["seconds_per_chunk"]
    note = (
        f"{found['frames']} frames of six faces, {film['steps']} steps, in turn, {film['rounds']} round(s), the MP4 "
        f"included. Attention to everything takes {_tables.ratio(found['sparse_against_full'])} the time of a face. "
        f"Context kept over steps and windows: {seconds['cached']['median']:.3f} s a face against "
        f"{seconds['recomputed']['median']:.3f} s computed again in every step, "
        f"{_tables.ratio(cache['ratio'])} the speed in window {cache['windows']} (wanted {CACHE_GATE}x: "
        f"{_verdict(cache['ratio']['median'] >= CACHE_GATE)}); the pictures are {cache['mean_levels_apart']:.2f} "
        f"levels of 255 apart. {_tables.caption(found['setting'])}"
    )
    return f"{_tables.markdown(head, body)}\n\n{note}"


def endless(found: dict[str, Any]) -> str:
    measured = (
        ("seconds per window, median", found["window_s"], "{:.3f}".format),
        ("seconds per window, p95", found["window_s_p95"], "{:.3f}".format),
        ("context MB", found["context_bytes"], _tables.megabytes),
        ("process MB", found["process_bytes"], _tables.megabytes),
    )
    body = [[n, show(m["early"]), show(m["late"]), f"{m['late'] / m['early'] - 1:+.1%}"] for n, m, show in measured]
    look = ", ".join(f"{n.replace('_', ' ')} {value:.2f}" for n, value in found["look"].items() if value is not None)
    flat = all(m["late"] / m["early"] - 1 <= FLAT_GATE for _, m, _ in measured if m is not found["window_s_p95"])
    note = (
        f"One session of {found['windows']} windows ({found['frames']} frames), the camera turning all the while: the "
        f"last {found['compared']} windows against the second {found['compared']} ({'flat' if flat else 'NOT flat'}). "
        f"Picture, late over early: {look}. {_tables.caption(found['setting'])}"
    )
    return f"{_tables.markdown(('endless', 'early', 'late', 'change'), body)}\n\n{note}"


def geometry(found: dict[str, Any]) -> str:
    faces = found["faces"]
    size = found["size"]
    body = [
        ["peak memory beyond the weights, GiB", f"{found['peak_bytes'] / 2**30:.2f}"],
        ["seconds per face, " + " ".join(f["face"] for f in faces), " ".join(f"{f['seconds']:.1f}" for f in faces)],
        ["seconds until the first face", f"{faces[0]['at']:.1f}"],
        ["seconds, film included", f"{found['total_s']:.1f}"],
        ["context MB", _tables.megabytes(found["context_bytes"])],
    ]
    note = (
        f"Random weights, {found['tokens_per_face']} tokens a face, {found['frames']} frames, {found['steps']} steps, "
        f"a photograph in, an MP4 of {found['picture'][0]}x{found['picture'][1]} out, face by face. "
        f"Wanted: {LIMIT / 2**30:g} GiB or less ({_verdict(found['peak_bytes'] <= LIMIT)}). "
        f"{_tables.caption(found['setting'])}"
    )
    return f"{_tables.markdown((f'one window, faces of {size} pixels', ''), body)}\n\n{note}"


def _range(spread: dict[str, float], digits: int) -> str:
    return f"{spread['median']:.{digits}f} ({spread['min']:.{digits}f}-{spread['max']:.{digits}f})"


def _verdict(reached: bool) -> str:
    return "reached" if reached else "NOT reached"


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "quality": quality,
    "seams": seams,
    "flicker": flicker,
    "motions": motions,
    "speed": speed,
    "endless": endless,
    "4k": geometry,
}
