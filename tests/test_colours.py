import numpy as np

from fashion_classifier.colours import AGAINST, FOR, tinted

GRAY = np.full((1, 3, 3), 100, np.uint8)


def test_one_side_in_infernos_colours() -> None:
    heat = np.array([[0, 0.5, 1]], np.float32)
    drawn = tinted(GRAY, heat, 1)
    np.testing.assert_array_equal(drawn[0, 0], (100, 100, 100))
    np.testing.assert_array_equal(drawn[0, 2], (252, 255, 164))  # Inferno's last colour
    half_way = np.array((187, 55, 84))  # its middle one, half of it over the gray
    np.testing.assert_allclose(drawn[0, 1], (half_way + 100) / 2, atol=2)


def test_two_sides_in_a_colour_each() -> None:
    drawn = tinted(GRAY, np.array([[-1, 0, 1]], np.float32), 1)
    np.testing.assert_array_equal(drawn[0], [AGAINST, (100, 100, 100), FOR])
    half = tinted(GRAY, np.array([[-1, 0, 1]], np.float32), 0.5)
    np.testing.assert_allclose(half[0, 2], (np.array(FOR) + 100) / 2, atol=0.5)
