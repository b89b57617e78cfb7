// From samples to pictures: the fast Fourier transform, spectra of one window each, axes, formants, the envelope of a waveform.
// Pure functions without a page; player.js draws what they return, and Python joins the two files into one module.

export const RATE = 16000; // Hz: what the models hear, too
const N_FFT = 1024;
const N_BINS = N_FFT / 2;
const QUIET = 1e-10;

const COS = Float64Array.from({ length: N_FFT / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / N_FFT));
const SIN = Float64Array.from({ length: N_FFT / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / N_FFT));
const REVERSED = Uint16Array.from({ length: N_FFT }, (_, k) => {
  let reversed = 0;
  for (let bit = 1; bit < N_FFT; bit <<= 1) reversed = (reversed << 1) | (k & bit ? 1 : 0);
  return reversed;
});

/** Transform N_FFT complex values in place (radix 2, decimation in time). */
function transform(re, im) {
  for (let k = 0; k < N_FFT; k++) {
    const other = REVERSED[k];
    if (other > k) {
      const x = re[k], y = im[k];
      re[k] = re[other]; im[k] = im[other];
      re[other] = x; im[other] = y;
    }
  }
  for (let size = 2; size <= N_FFT; size <<= 1) {
    const half = size >> 1, step = N_FFT / size;
    for (let start = 0; start < N_FFT; start += size) {
      for (let k = 0, at = 0; k < half; k++, at += step) {
        const a = start + k, b = a + half;
        const x = re[b] * COS[at] + im[b] * SIN[at], y = im[b] * COS[at] - re[b] * SIN[at];
        re[b] = re[a] - x; im[b] = im[a] - y;
        re[a] += x; im[a] += y;
      }
    }
  }
}

/** A Hann window of so many milliseconds, scaled so that a sine of full scale peaks at 1 whatever its length. */
export function hann(windowMs) {
  const n = Math.min(Math.max(Math.round((windowMs / 1000) * RATE), 16), N_FFT);
  const window = Float64Array.from({ length: n }, (_, k) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (k + 0.5)) / n));
  const total = window.reduce((sum, each) => sum + each, 0);
  return window.map((each) => (2 * each) / total);
}

/** Power spectra, N_BINS each, of the windows around these times in s: two windows with one transform. */
export function spectra(samples, times, window) {
  const found = times.map(() => new Float32Array(N_BINS));
  const re = new Float64Array(N_FFT), im = new Float64Array(N_FFT);
  for (let n = 0; n < times.length; n += 2) {
    re.fill(0); im.fill(0);
    fill(re, samples, times[n], window);
    if (n + 1 < times.length) fill(im, samples, times[n + 1], window);
    transform(re, im);
    for (let k = 0; k < N_BINS; k++) {
      const m = (N_FFT - k) % N_FFT;
      const a = re[k] + re[m], b = im[k] - im[m], c = im[k] + im[m], d = re[m] - re[k];
      found[n][k] = (a * a + b * b) / 4;
      if (n + 1 < times.length) found[n + 1][k] = (c * c + d * d) / 4;
    }
  }
  return found;
}

function fill(into, samples, time, window) {
  const first = Math.round(time * RATE - window.length / 2);
  for (let k = Math.max(0, -first); k < window.length && first + k < samples.length; k++) into[k] = samples[first + k] * window[k];
}

const toMel = (hz) => 2595 * Math.log10(1 + hz / 700);
const fromMel = (mel) => 700 * (10 ** (mel / 2595) - 1);

/** A frequency axis, "mel" or "linear", from 0 to half the rate: hz(share of the height) and share(hz), both from the bottom. */
export function axis(kind) {
  const top = RATE / 2;
  return kind === "mel"
    ? { hz: (share) => fromMel(share * toMel(top)), share: (hz) => toMel(hz) / toMel(top) }
    : { hz: (share) => share * top, share: (hz) => hz / top };
}

/** Levels in dB, one Float32Array of nRows (the top row first) a column: the mean power of the bins that a row covers. */
export function levels(samples, times, { windowMs, kind, nRows }) {
  const scale = axis(kind);
  const edges = Array.from({ length: nRows + 1 }, (_, row) => (scale.hz(1 - row / nRows) / RATE) * N_FFT);
  return spectra(samples, times, hann(windowMs)).map((power) => {
    const column = new Float32Array(nRows);
    for (let row = 0; row < nRows; row++) column[row] = 10 * Math.log10(Math.max(between(power, edges[row + 1], edges[row]), QUIET));
    return column;
  });
}

/** The mean of a spectrum between two places; of less than a bin, what lies between its neighbours. */
function between(power, low, high) {
  if (high - low < 1) {
    const place = Math.min((low + high) / 2, N_BINS - 1.001), k = Math.floor(place);
    return power[k] + (place - k) * (power[k + 1] - power[k]);
  }
  let total = 0;
  const first = Math.floor(low), last = Math.min(Math.ceil(high), N_BINS);
  for (let k = first; k < last; k++) total += power[k];
  return total / Math.max(last - first, 1);
}

/** The lowest and the highest sample of each of n stretches between two times in s: [low, high] pairs. */
export function envelope(samples, fromS, toS, n) {
  return Array.from({ length: n }, (_, k) => {
    const start = Math.max(Math.floor((fromS + ((toS - fromS) * k) / n) * RATE), 0);
    const stop = Math.min(Math.max(Math.floor((fromS + ((toS - fromS) * (k + 1)) / n) * RATE), start + 1), samples.length);
    let low = Infinity, high = -Infinity;
    for (let place = start; place < stop; place++) {
      if (samples[place] < low) low = samples[place];
      if (samples[place] > high) high = samples[place];
    }
    return low <= high ? [low, high] : [0, 0];
  });
}

// Formants: linear prediction on the part of the spectrum below CEILING_HZ (selective linear prediction, Makhoul 1975), its
// autocorrelation from the spectrum, Levinson and Durbin's recursion, and the roots of the polynomial (Weierstrass's iteration).
const CEILING_HZ = 5500;
const ORDER = 10;
const MAX_BANDWIDTH_HZ = 400;

/** The formants in Hz, from the lowest on, of the windows of 25 ms around these times in s: an array a time, of at most `most`. */
export function formants(samples, times, { most = 4 } = {}) {
  return spectra(samples, times, hann(25)).map((power) => resonances(power).slice(0, most));
}

function resonances(power) {
  const top = Math.floor((CEILING_HZ / RATE) * N_FFT);
  const emphasised = Float64Array.from({ length: top + 1 }, (_, k) => power[k] * (1 + 0.97 ** 2 - 2 * 0.97 * Math.cos((2 * Math.PI * k) / N_FFT)));
  const correlation = Array.from({ length: ORDER + 1 }, (_, lag) => {
    let total = 0;
    for (let k = 0; k <= top; k++) total += (k === 0 || k === top ? 0.5 : 1) * emphasised[k] * Math.cos((Math.PI * lag * k) / top);
    return total;
  });
  if (!(correlation[0] > 0)) return [];
  correlation[0] *= 1 + 1e-9;
  const rate = 2 * (top / N_FFT) * RATE;
  return roots(predictor(correlation))
    .filter(([, im]) => im > 0)
    .map(([re, im]) => ({ hz: (Math.atan2(im, re) * rate) / (2 * Math.PI), width: (-Math.log(Math.hypot(re, im)) * rate) / Math.PI }))
    .filter(({ hz, width }) => hz > 90 && hz < CEILING_HZ - 300 && width > 0 && width < MAX_BANDWIDTH_HZ)
    .map(({ hz }) => hz)
    .sort((a, b) => a - b);
}

/** The coefficients of the linear predictor, a[0] = 1. */
function predictor(correlation) {
  const a = [1];
  let error = correlation[0];
  for (let order = 1; order < correlation.length; order++) {
    let sum = correlation[order];
    for (let k = 1; k < order; k++) sum += a[k] * correlation[order - k];
    const reflection = -sum / error, before = a.slice();
    for (let k = 1; k < order; k++) a[k] = before[k] + reflection * before[order - k];
    a[order] = reflection;
    error *= 1 - reflection * reflection;
  }
  return a;
}

/** The complex roots [re, im] of z^n + a[1] z^(n-1) + … + a[n]. */
function roots(a) {
  const n = a.length - 1;
  const found = Array.from({ length: n }, (_, k) => [0.9 * Math.cos(0.4 + (2 * Math.PI * k) / n), 0.9 * Math.sin(0.4 + (2 * Math.PI * k) / n)]);
  for (let turn = 0; turn < 60; turn++) {
    let moved = 0;
    for (let k = 0; k < n; k++) {
      const [x, y] = found[k];
      let p = 1, q = 0, r = 1, s = 0; // the polynomial at this place, and the product of the distances to the other roots
      for (let j = 1; j <= n; j++) {
        const next = p * x - q * y + a[j];
        q = p * y + q * x;
        p = next;
      }
      for (let j = 0; j < n; j++) {
        if (j === k) continue;
        const u = x - found[j][0], v = y - found[j][1], next = r * u - s * v;
        s = r * v + s * u;
        r = next;
      }
      const size = r * r + s * s || 1e-30;
      const dx = (p * r + q * s) / size, dy = (q * r - p * s) / size;
      found[k] = [x - dx, y - dy];
      moved = Math.max(moved, Math.abs(dx) + Math.abs(dy));
    }
    if (moved < 1e-6) break;
  }
  return found;
}
