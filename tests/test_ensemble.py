from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from fashion_classifier import Bundle, CanonicalImage, InvalidBundleError, ModelIntegrityError, canonicalize
from fashion_classifier.ensemble import Ensemble, load_ensemble, loaded_ensemble
from fashion_classifier.forms import FORMS, Float32Array, Form
from fashion_classifier.manifest import ExpertName, Member
from tests.drawn_garments import photo, shirt
from tests.tiny_bundles import change, changed, put

IMAGES = [canonicalize(photo(shirt(90, 120), colour, (150, 140, 120))) for colour in ((180, 30, 40), (30, 40, 90))]


@pytest.mark.parametrize("kind", ["one look", "two looks"])
@pytest.mark.parametrize("name", ["thumbnail", "photo"])
def test_each_member_says_what_keras_says_of_its_form(tiny_bundles: dict[str, Path], kind: str, name: ExpertName) -> None:
    bundle = Bundle(tiny_bundles[kind])
    members = bundle.manifest.experts[name].members
    logits = load_ensemble(bundle, name).logits(IMAGES)
    assert logits.dtype == np.float64
    assert logits.shape == (len(members), 2, 10)
    for member, found in zip(members, logits, strict=True):
        network = keras.models.load_model(bundle.path / member.keras, compile=False)
        expected = network.predict(FORMS[member.form].render(IMAGES), verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_a_network_that_is_asked_about_two_forms_is_loaded_once(tiny_bundles: dict[str, Path]) -> None:
    bundle = Bundle(tiny_bundles["thumbnail"])
    (upright,) = bundle.manifest.experts["thumbnail"].members
    mirrored = replace(upright, form="canonical mirrored")
    read: list[str] = []

    def reading(name: str) -> bytes:
        read.append(name)
        return bundle.read(name)

    both = Ensemble(bundle.path, [upright, mirrored], reading).logits(IMAGES)
    assert read == ["thumbnail.tflite"]
    alone = [Ensemble(bundle.path, [member], bundle.read).logits(IMAGES)[0] for member in (upright, mirrored)]
    np.testing.assert_array_equal(both, alone)
    assert np.abs(both[0] - both[1]).max() > 0.1


def test_networks_that_are_in_use_are_not_loaded_again(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    bundle = Bundle(changed(tiny_bundles["one look"], tmp_path / "bundle"))
    first = load_ensemble(bundle, "photo")
    assert loaded_ensemble(Bundle(bundle.path), "photo") is first
    assert load_ensemble(bundle, "photo") is not first  # a classifier reads and verifies
    put(bundle.path, "photo.tflite", (tiny_bundles["two looks"] / "photo-garment-mirrored.tflite").read_bytes())
    change(bundle.path, experts__photo__members__0__evidence=False)
    other = loaded_ensemble(Bundle(bundle.path), "photo")
    assert np.abs(other.logits(IMAGES) - first.logits(IMAGES)).max() > 0.1
    (bundle.path / "photo.tflite").write_bytes(b"something else")
    del first, other
    with pytest.raises(ModelIntegrityError):
        loaded_ensemble(Bundle(bundle.path), "photo")


def test_a_form_is_rendered_once(tiny_bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle(tiny_bundles["one look"])
    (member,) = bundle.manifest.experts["photo"].members
    ensemble = Ensemble(bundle.path, [member, member], bundle.read)
    rendered: list[tuple[int, ...]] = []
    render = Form.render

    def counted(form: Form, images: Sequence[CanonicalImage]) -> Float32Array:
        rendered.append(form.shape)
        return render(form, images)

    monkeypatch.setattr(Form, "render", counted)
    one, other = ensemble.logits(IMAGES)
    assert rendered == [(192, 192, 4)]
    np.testing.assert_array_equal(one, other)


def test_a_network_without_the_evidence_that_it_should_have_is_refused(tiny_bundles: dict[str, Path]) -> None:
    bundle = Bundle(tiny_bundles["thumbnail"])
    (member,) = bundle.manifest.experts["thumbnail"].members
    problem = r"thumbnail\.tflite has the further outputs \[\], needed is one \(1, rows, columns, 10\)\.$"
    with pytest.raises(InvalidBundleError, match=problem):
        Ensemble(bundle.path, [replace(member, evidence=True)], bundle.read)


def test_a_network_for_another_form_is_refused(tiny_bundles: dict[str, Path]) -> None:
    bundle = Bundle(tiny_bundles["thumbnail"])
    member = Member("garment", "thumbnail.tflite", "thumbnail.keras", "tiny", None, evidence=False)
    problem = (
        r"thumbnail\.tflite has the shapes \[\(1, 28, 28, 1\), \(1, 10\)\], needed are \[\(1, 192, 192, 4\), \(1, 10\)\]\."
    )
    with pytest.raises(InvalidBundleError, match=problem):
        Ensemble(bundle.path, [member], bundle.read)
