// Where three.js has the joints of GLB and BVH files. Jobs come as JSON on stdin: [{file, clip, times}, ...]; the answers
// go to stdout: [{keys, positions}, ...], a key (node number or bone name) and a world position (T, 3) for each joint.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(path.join(process.cwd(), 'package.json'));
const at = (file) => import(pathToFileURL(path.join(process.cwd(), 'node_modules/three', file)).href);
const THREE = await at('build/three.module.js');
const { GLTFLoader } = await at('examples/jsm/loaders/GLTFLoader.js');
const { BVHLoader } = await at('examples/jsm/loaders/BVHLoader.js');
globalThis.self ??= globalThis;

// Pictures need a browser, and so does Draco: neither has to do with where joints are.
function plain(data) {
  const length = data.readUInt32LE(12);
  const json = JSON.parse(data.subarray(20, 20 + length).toString('utf8'));
  const packed = (json.extensionsUsed ?? []).includes('KHR_draco_mesh_compression');
  for (const key of ['images', 'textures', 'samplers', 'materials', 'extensionsUsed', 'extensionsRequired']) delete json[key];
  for (const mesh of json.meshes ?? []) for (const p of mesh.primitives) { delete p.material; delete p.extensions; }
  if (packed) { delete json.meshes; for (const node of json.nodes) { delete node.mesh; delete node.skin; } }
  let text = Buffer.from(JSON.stringify(json));
  text = Buffer.concat([text, Buffer.alloc((4 - (text.length % 4)) % 4, 32)]);
  const head = Buffer.from(data.subarray(0, 20));
  head.writeUInt32LE(20 + text.length + data.length - 20 - length, 8);
  head.writeUInt32LE(text.length, 12);
  const whole = Buffer.concat([head, text, data.subarray(20 + length)]);
  return whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.byteLength);
}

async function open(file) {
  if (file.endsWith('.bvh')) {
    const { skeleton, clip } = new BVHLoader().parse(fs.readFileSync(file, 'utf8'));
    const bones = skeleton.bones.filter((b) => b.name !== 'ENDSITE');
    return { root: skeleton.bones[0], clips: [clip], objects: bones.map((b) => [b.name, b]) };
  }
  const gltf = await new GLTFLoader().parseAsync(plain(fs.readFileSync(file)), '');
  const objects = [];
  gltf.scene.traverse((o) => {
    const node = gltf.parser.associations.get(o)?.nodes;
    if (node !== undefined && !objects.some(([n]) => n === node)) objects.push([node, o]);
  });
  return { root: gltf.scene, clips: gltf.animations, objects };
}

const answers = [];
for (const job of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  const { root, clips, objects } = await open(job.file);
  const clip = clips.find((c) => c.name === job.clip) ?? clips[0];
  const mixer = new THREE.AnimationMixer(root);
  const action = mixer.clipAction(clip).setLoop(THREE.LoopOnce);
  action.clampWhenFinished = true;
  action.play();
  const positions = objects.map(() => []);
  const point = new THREE.Vector3();
  for (const time of job.times) {
    action.reset();
    mixer.setTime(time);
    root.updateMatrixWorld(true);
    objects.forEach(([, o], k) => positions[k].push(o.getWorldPosition(point).toArray()));
  }
  answers.push({ keys: objects.map(([key]) => key), positions });
}
process.stdout.write(JSON.stringify(answers));
