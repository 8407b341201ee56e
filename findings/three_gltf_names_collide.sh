#!/bin/sh
# three.js finds the nodes that a glTF animation moves by name. Its loader makes names differ by counting: the second
# "arm" becomes "arm_1", no matter whether the file has an "arm_1". The animation of that one then moves the other.
# glTF gives names no role, and none of its rules makes them differ. Needs npm. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund three@0.187.0
cat > names.mjs <<'JS'
import { AnimationMixer, REVISION } from 'three';
import { GLTFLoader } from 'three/examples/jsm/loaders/GLTFLoader.js';

globalThis.self ??= globalThis;
globalThis.ProgressEvent ??= class {};
const names = ['arm', 'arm', 'arm_1'];
// One animation, which moves the third node from (0, 0, 0) to (0, 1, 0) within a second.
const keys = Buffer.from(new Float32Array([0, 1, 0, 0, 0, 0, 1, 0]).buffer);
const gltf = {
  asset: { version: '2.0' },
  scene: 0,
  scenes: [{ nodes: [0, 1, 2] }],
  nodes: names.map((name) => ({ name })),
  buffers: [{ byteLength: 32, uri: `data:application/octet-stream;base64,${keys.toString('base64')}` }],
  bufferViews: [{ buffer: 0, byteLength: 8 }, { buffer: 0, byteOffset: 8, byteLength: 24 }],
  accessors: [
    { bufferView: 0, componentType: 5126, count: 2, type: 'SCALAR', min: [0], max: [1] },
    { bufferView: 1, componentType: 5126, count: 2, type: 'VEC3' },
  ],
  animations: [{ channels: [{ sampler: 0, target: { node: 2, path: 'translation' } }], samplers: [{ input: 0, output: 1 }] }],
};
const { scene, animations } = await new GLTFLoader().parseAsync(JSON.stringify(gltf), '');
const mixer = new AnimationMixer(scene);
mixer.clipAction(animations[0]).play();
mixer.setTime(0.5);
const heights = scene.children.map((node) => node.position.y);
console.log(`three.js r${REVISION}; the file moves its third node, ${JSON.stringify(names[2])}, up by 0.5 at 0.5 s`);
names.forEach((name, n) => console.log(`  node ${n}: "${name}" became "${scene.children[n].name}", moved by ${heights[n]}`));
process.exit(heights[1] === 0.5 && heights[2] === 0 ? 0 : 1);
JS
node names.mjs
