// WebGL2: cube textures in, the picture of one camera out. Knows nothing of time or of the protocol.

import { TARGETS, axes, toGl } from "./cube.js";

const VERTEX = `#version 300 es
out vec2 at;
void main() {
  at = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(at, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
out vec4 colour;
uniform samplerCube cube;
uniform mat3 camera;     // columns: right, up, forward, as WebGL's cube sees them
uniform vec2 tangent;    // of half the field of view, across and up
uniform mat3 view;       // the given view's camera
uniform vec3 extent;     // tangents of half its field of view; the third: whether it is shown
void main() {
  vec3 ray = camera * vec3(at * tangent, 1.0);
  vec4 texel = texture(cube, ray);
  vec3 steps = abs(fract(ray / max(max(abs(ray.x), abs(ray.y)), abs(ray.z)) * 4.0) - 0.5);
  float grid = smoothstep(0.46, 0.5, max(steps.x, max(steps.y, steps.z)) );
  vec3 empty = mix(vec3(0.035, 0.05, 0.065), vec3(0.07, 0.09, 0.11), grid);
  vec3 shown = mix(empty, texel.rgb, texel.a);
  vec3 seen = transpose(view) * ray;
  vec2 place = abs(seen.xy / max(seen.z, 1e-4)) / extent.xy;
  float far = max(place.x, place.y);
  float near = extent.z * step(1e-3, seen.z) * step(far, 1.3);
  float line = near * (1.0 - smoothstep(1.0, 2.2, abs(far - 1.0) / max(fwidth(far), 1e-5)));
  shown = mix(shown, vec3(0.498, 0.784, 0.663), line * 0.9);
  colour = vec4(shown, 1.0);
}`;

function compile(gl, kind, source) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
    throw new Error(gl.getShaderInfoLog(shader));
  }
  return shader;
}

function columns({ right, up, forward }) {
  return new Float32Array([right, up, forward].flatMap(toGl));
}

export class Cubes {
  constructor(gl) {
    this.gl = gl;
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    gl.useProgram(program);
    const names = ["camera", "tangent", "view", "extent"];
    this.uniforms = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
  }

  // Empty cubes, one per frame; what was never put shows as a grid.
  make(side, frames) {
    const gl = this.gl;
    return Array.from({ length: frames }, () => {
      const cube = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_CUBE_MAP, cube);
      gl.texStorage2D(gl.TEXTURE_CUBE_MAP, 1, gl.RGBA8, side, side);
      gl.texParameteri(gl.TEXTURE_CUBE_MAP, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_CUBE_MAP, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
      return cube;
    });
  }

  free(cubes) {
    for (const cube of cubes) this.gl.deleteTexture(cube);
  }

  put(cube, face, picture, top, left) {
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_CUBE_MAP, cube);
    const target = gl.TEXTURE_CUBE_MAP_POSITIVE_X + TARGETS[face];
    gl.texSubImage2D(target, 0, left, top, picture.width, picture.height, gl.RGBA, gl.UNSIGNED_BYTE, picture);
  }

  // look: yaw, pitch, roll, fov across the longer side; view: the given one, [roll, pitch, yaw, fov_x, fov_y], or null
  draw(cube, look, view) {
    const gl = this.gl;
    const { drawingBufferWidth: width, drawingBufferHeight: height } = gl;
    const half = Math.tan((look.fov * Math.PI) / 360) / Math.max(width, height);
    gl.viewport(0, 0, width, height);
    gl.uniformMatrix3fv(this.uniforms.camera, false, columns(axes(look)));
    gl.uniform2f(this.uniforms.tangent, half * width, half * height);
    const [roll, pitch, yaw, across, up] = view ?? [0, 0, 0, 90, 90];
    gl.uniformMatrix3fv(this.uniforms.view, false, columns(axes({ yaw, pitch, roll })));
    const tan = (degrees) => Math.tan((Math.min(degrees, 178) * Math.PI) / 360);
    gl.uniform3f(this.uniforms.extent, tan(across), tan(up), view ? 1 : 0);
    gl.bindTexture(gl.TEXTURE_CUBE_MAP, cube);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}
