// SPDX-License-Identifier: Apache-2.0
// Vectors as pictures: a square of cells, grey where no number is negative, else from one colour
// to another.

import { colour } from "./dom.js";

export const kMostCells = 4096;

export const side = (dim) => Math.ceil(Math.sqrt(dim));

/** Whether a vector of so many numbers is worth a picture. */
export const isPicture = (dim) => dim <= kMostCells && dim >= 256;

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** The greatest magnitude, and whether some numbers are negative. */
export function scaleOf(vector) {
  let most = 0;
  let least = 0;
  for (const value of vector) {
    if (Math.abs(value) > most) most = Math.abs(value);
    if (value < least) least = value;
  }
  return { most: most || 1, isSigned: least < -0.05 * most };
}

/** Draws `vector`; cells that `hidden` says are hatched. */
export function drawVector(canvas, vector, scale = scaleOf(vector), hidden = null) {
  const cells = side(vector.length);
  const small = new OffscreenCanvas(cells, cells);
  const context = small.getContext("2d");
  const image = context.createImageData(cells, cells);
  const [ink, paper, positive, negative, cover] = ["ink", "paper", "a", "hot", "cover"].map((name) => rgb(colour(name)));
  for (let i = 0; i < cells * cells; ++i) {
    const value = Math.max(-1, Math.min(1, (vector[i] ?? 0) / scale.most));
    const to = value < 0 ? negative : scale.isSigned ? positive : ink;
    const share = scale.isSigned ? Math.abs(value) : Math.max(0, value);
    const isHidden = hidden?.[i];
    for (let c = 0; c < 3; ++c) {
      const plain = paper[c] + share * (to[c] - paper[c]);
      image.data[4 * i + c] = isHidden ? ((i + Math.floor(i / cells)) % 2 === 0 ? cover[c] : 0.75 * cover[c] + 0.25 * paper[c]) : plain;
    }
    image.data[4 * i + 3] = i < vector.length ? 255 : 0;
  }
  context.putImageData(image, 0, 0);
  const size = Math.max(cells, Math.round(canvas.clientWidth * (devicePixelRatio || 1)) || 4 * cells);
  canvas.width = size;
  canvas.height = size;
  const large = canvas.getContext("2d");
  large.imageSmoothingEnabled = false;
  large.drawImage(small, 0, 0, size, size);
}

/** Gaussian noise of deviation 1. */
export function gaussian() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
