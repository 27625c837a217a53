from dataclasses import replace

import numpy as np

from creuset.evaluation.copies import copies_part
from picture_sets import picture_sets


def test_copies_are_found_and_shown_beside_what_they_are_copies_of() -> None:
    sets = picture_sets(50)
    assert sets.training is not None
    generated = sets.generated.copy()
    generated[[11, 30]] = sets.training[[5, 200]]
    found = copies_part(replace(sets, generated=generated))
    scores = {score.metric: score for score in found.scores}
    assert 2 / 50 <= scores["near_copies"].value < 5 / 50
    assert "extractor:pixels" in scores["memorisation"].signature
    neighbours = found.details["neighbours"]
    assert neighbours["generated"][:2] == [11, 30]
    assert neighbours["training"][:2] == [5, 200]
    assert neighbours["distances"][:2] == [0, 0]
    assert neighbours["generated"][10:] == list(range(10))  # those drawn first
    shown, beside = found.pictures["neighbours_generated"], found.pictures["neighbours_training"]
    assert shown.shape == beside.shape == (20, 4, 4, 1)
    assert (shown[:2] == beside[:2]).all()
    assert (shown[2] != beside[2]).any()
    assert (beside == sets.training[neighbours["training"]]).all()


def test_a_learned_by_heart_set_scores_one() -> None:
    sets = picture_sets(50)
    assert sets.training is not None
    by_heart = copies_part(replace(sets, generated=sets.training[:50]))
    assert by_heart.scores[0].value == 1
    real = copies_part(sets).scores[0]
    assert real.interval is not None
    assert real.interval[0] < 0.5 < real.interval[1]


def test_few_held_out_pictures_and_no_training_pictures_are_remarks() -> None:
    few = copies_part(picture_sets(5, num_reference=60))
    assert [score.metric for score in few.scores] == ["memorisation"]
    assert few.remarks == ["no near copies: they need 100 or more held-out pictures, and there are 60"]
    assert few.details["neighbours"]["num_nearest"] == 5
    without = copies_part(replace(picture_sets(5), training=None))
    assert (without.scores, without.pictures) == ([], {})
    assert without.remarks == ["no memorisation: the training pictures are themselves what is measured"]


def test_the_same_sets_show_the_same_pairs() -> None:
    one, other = copies_part(picture_sets(40)), copies_part(picture_sets(40))
    assert one.details == other.details
    assert np.array_equal(one.pictures["neighbours_generated"], other.pictures["neighbours_generated"])


def test_signatures_name_the_training_pictures() -> None:
    for score in copies_part(replace(picture_sets(50), training_data="c" * 64)).scores:
        assert "|training:cccccccc|" in score.signature
