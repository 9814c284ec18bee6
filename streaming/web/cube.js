// The cube and where things are on it. World axes as in the model: Y up, +Z forward, so right is -X.
// Yaw turns right, pitch up, roll clockwise; degrees.

export const FACES = ["F", "R", "B", "L", "U", "D"];
export const NAMES = { F: "front", R: "right", B: "back", L: "left", U: "up", D: "down" };

// A face's place among WebGL's six targets (+X -X +Y -Y +Z -Z). WebGL's cube is left-handed with its first row at the
// top; mirroring X (`toGl`) makes that the model's own convention, on U (top edge at B) and D (top edge at F) too, so
// faces are uploaded as they come.
export const TARGETS = { R: 0, L: 1, U: 2, D: 3, F: 4, B: 5 };

const rad = (degrees) => (degrees * Math.PI) / 180;

export function toGl([x, y, z]) {
  return [-x, y, z];
}

export function axes({ yaw, pitch, roll = 0 }) {
  // where a camera looks, its right and its up: unit vectors of the world
  const [sy, cy, sp, cp] = [Math.sin(rad(yaw)), Math.cos(rad(yaw)), Math.sin(rad(pitch)), Math.cos(rad(pitch))];
  const [sr, cr] = [Math.sin(rad(roll)), Math.cos(rad(roll))];
  const forward = [-sy * cp, sp, cy * cp];
  const level = { right: [-cy, 0, -sy], up: [sy * sp, cp, -cy * sp] };
  return {
    forward,
    right: level.right.map((v, i) => v * cr - level.up[i] * sr),
    up: level.up.map((v, i) => v * cr + level.right[i] * sr),
  };
}

export function faceOf([x, y, z]) {
  const [ax, ay, az] = [Math.abs(x), Math.abs(y), Math.abs(z)];
  if (az >= ax && az >= ay) return z > 0 ? "F" : "B";
  if (ay >= ax) return y > 0 ? "U" : "D";
  return x < 0 ? "R" : "L";
}

export function facing(look) {
  return faceOf(axes(look).forward);
}

export function wrap(yaw) {
  // the same heading in -180..180
  return ((((yaw + 180) % 360) + 360) % 360) - 180;
}

export function heading(look) {
  // in words, for those who do not see the compass
  const winds = ["ahead", "ahead right", "right", "behind right", "behind", "behind left", "left", "ahead left"];
  if (Math.abs(look.pitch) > 60) return look.pitch > 0 ? "up" : "down";
  return winds[((Math.round(look.yaw / 45) % 8) + 8) % 8];
}
