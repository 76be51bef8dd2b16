"""Linear prediction by Burg's method: from weighted frames of sound to the all-pole model of each.

Cost: 10 x 550 multiplications of each kind a frame at Praat's settings: about 1 us, 0.1 ms a second of sound.

Shape legend: N samples, T frames, W samples of a window, D coefficients (the order of the prediction).
"""

import numpy as np

from accent.dsp.compile import kernel


@kernel(reorder=True)
def burg_coefficients(
    padded_N: np.ndarray, first: int, hop: int, window_W: np.ndarray, coefficients_TD: np.ndarray
) -> None:
    """Predict each sample of each frame from those before it, and write down the weights.

    Of all predictors of a given order Burg's method finds, one order after the other, the reflection that leaves the
    smallest error of prediction forwards and backwards together.  It never looks beyond the frame, unlike the
    autocorrelation method, and its model is stable, unlike that of the covariance method.

    Args:
        padded_N: float64 `[N]`, the sound.
        first: where the window of frame 0 begins; frame t begins at `first + t x hop`, and all of it is in `padded_N`.
        hop: samples between frames.
        window_W: float64 `[W]`, the weights of a frame's samples.
        coefficients_TD: float64 `[T, D]`, to be filled.  Sample n is predicted as the sum over d of
            `coefficients[d] x sample[n - 1 - d]`, so that the poles are the roots of
            `z^D - coefficients[0] z^(D-1) - ... - coefficients[D-1]`.
            A frame of zeros has none: NaN.  One that is predicted without error gets zeros in all further places.

    Source: Burg (1967), Maximum entropy spectral analysis; Childers (1978), Modern spectrum analysis, pp. 252-255;
    Press, Teukolsky, Vetterling & Flannery (1992), Numerical recipes, 13.6.

    Cost per frame: W + 5 x W x D multiplications and additions; 1 us for W = 550, D = 10.
    """
    n_frames, order = coefficients_TD.shape
    width = len(window_W)
    forward_W = np.empty(width)
    backward_W = np.empty(width)
    previous_D = np.empty(order)
    for frame in range(n_frames):
        start = first + frame * hop
        for sample in range(width):
            weighted = padded_N[start + sample] * window_W[sample]
            forward_W[sample] = weighted
            backward_W[sample] = weighted
        weights_D = coefficients_TD[frame]
        weights_D[:] = 0.0
        for done in range(order):
            # The forward error at one sample meets the backward error at the sample before: that one has seen as many
            # samples fewer as there are orders done, so the two arrays are read with a shift and never moved.
            pairs = max(width - done - 1, 0)
            ahead_W = forward_W[done + 1 : done + 1 + pairs]
            behind_W = backward_W[:pairs]
            product = 0.0
            power_ahead = 0.0
            power_behind = 0.0
            for pair in range(pairs):
                product += ahead_W[pair] * behind_W[pair]
                power_ahead += ahead_W[pair] * ahead_W[pair]
                power_behind += behind_W[pair] * behind_W[pair]
            power = power_ahead + power_behind
            if not power > 0.0:
                if done == 0:
                    weights_D[:] = np.nan
                break
            reflection = 2.0 * product / power
            previous_D[:done] = weights_D[:done]
            for place in range(done):
                weights_D[place] = previous_D[place] - reflection * previous_D[done - 1 - place]
            weights_D[done] = reflection
            for pair in range(pairs):
                ahead = ahead_W[pair]
                ahead_W[pair] = ahead - reflection * behind_W[pair]
                behind_W[pair] = behind_W[pair] - reflection * ahead
