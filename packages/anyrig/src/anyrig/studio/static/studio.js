import {
  AmbientLight, AnimationMixer, Box3, Color, DirectionalLight, GLTFLoader, GridHelper, Group, HemisphereLight,
  OrbitControls, PerspectiveCamera, Scene, SkeletonHelper, Vector3, WebGLRenderer,
} from "./three.bundle.js";

const $ = (id) => document.getElementById(id);
const page = document.documentElement;
const loader = new GLTFLoader();

// What is shown: one entry a sample, {group, mixer, helper, root, seconds}.
let shown = [];
let seconds = 0;
let now = 0;
let playing = true;
let view = null;

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function ask(path, options) {
  const reply = await fetch(path, options);
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.error || reply.statusText);
  return body;
}

// -- the view

function start() {
  const canvas = $("view");
  const renderer = new WebGLRenderer({ canvas, antialias: true });
  const scene = new Scene();
  const camera = new PerspectiveCamera(40, 1, 0.01, 2000);
  const controls = new OrbitControls(camera, canvas);
  scene.add(new HemisphereLight(0xffffff, 0x777788, 2), new AmbientLight(0xffffff, 0.6));
  const sun = new DirectionalLight(0xffffff, 2);
  sun.position.set(3, 8, 5);
  scene.add(sun);
  view = { renderer, scene, camera, controls, canvas, grid: null, middle: new Vector3(), last: performance.now() };
  renderer.setAnimationLoop(draw);
}

function draw(at) {
  const { renderer, scene, camera, controls, canvas } = view;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== width || canvas.height !== height) {
    renderer.setSize(width, height, false);
    camera.aspect = width / Math.max(height, 1);
    camera.updateProjectionMatrix();
  }
  const passed = Math.min((at - view.last) / 1000, 0.1);
  view.last = at;
  if (playing && seconds > 0) setTime((now + passed) % seconds);
  if ($("follow").checked) follow();
  controls.update();
  scene.background = new Color(getComputedStyle(page).getPropertyValue("--ground").trim());
  renderer.render(scene, camera);
  page.dataset.triangles = renderer.info.render.triangles;
  page.dataset.lines = renderer.info.render.lines;
}

function setTime(time) {
  now = time;
  for (const one of shown) one.mixer?.setTime(Math.min(now, one.seconds - 1e-4));
  $("time").value = seconds > 0 ? now / seconds : 0;
  $("clock").value = `${now.toFixed(2)} s`;
}

function middleOfRoots() {
  const middle = new Vector3();
  for (const one of shown) middle.add(one.root.getWorldPosition(new Vector3()));
  return middle.divideScalar(Math.max(shown.length, 1));
}

function follow() {
  if (!shown.length) return;
  const step = middleOfRoots().sub(view.middle);
  step.y = 0;
  view.middle.add(step);
  view.camera.position.add(step);
  view.controls.target.add(step);
}

function clear() {
  for (const one of shown) {
    view.scene.remove(one.group, one.helper);
    one.group.traverse((o) => { o.geometry?.dispose(); [].concat(o.material ?? []).forEach((m) => m.dispose()); });
    one.helper.dispose();
  }
  shown = [];
}

// Loads files and sets them side by side.
async function show(names) {
  const files = await Promise.all(names.map((n) => loader.loadAsync(`/api/files/${encodeURIComponent(n)}.glb?show`)));
  clear();
  const sizes = files.map((f) => new Box3().setFromObject(f.scene).getSize(new Vector3()));
  const size = Math.max(...sizes.map((s) => Math.max(s.x, s.y, s.z)), 1e-3);
  files.forEach((file, k) => {
    const group = new Group();
    group.add(file.scene);
    group.position.x = (k - (files.length - 1) / 2) * -1.2 * size;
    let root = null;
    file.scene.traverse((o) => { o.frustumCulled = false; if (o.isBone && !root) root = o; });
    const clip = file.animations[0];
    const mixer = clip ? new AnimationMixer(file.scene) : null;
    if (mixer) mixer.clipAction(clip).play();
    const helper = new SkeletonHelper(file.scene);
    helper.material.depthTest = false;
    view.scene.add(group, helper);
    shown.push({ group, mixer, helper, root: root ?? file.scene, seconds: clip ? clip.duration : 0 });
  });
  seconds = Math.max(0, ...shown.map((s) => s.seconds));
  if (view.grid) view.scene.remove(view.grid);
  const cell = 10 ** Math.floor(Math.log10(size));
  view.grid = new GridHelper(80 * cell, 80, 0x8893a3, 0xa9b1bd);
  view.scene.add(view.grid);
  setTime(0);
  look(size, files.length);
  toggle();
  page.dataset.samples = shown.length;
}

function look(size, n) {
  const middle = middleOfRoots();
  view.middle.copy(middle);
  const away = size * (1.3 + 0.75 * n);
  view.controls.target.copy(middle);
  view.camera.position.set(middle.x - 0.6 * away, middle.y + 0.45 * away, middle.z + 0.9 * away);
  view.camera.near = size / 100;
  view.camera.far = size * 200;
  view.camera.updateProjectionMatrix();
}

function toggle() {
  for (const one of shown) {
    one.helper.visible = $("bones").checked;
    one.group.traverse((o) => { if (o.isMesh) o.visible = $("skin").checked; });
  }
}

// -- the panel

async function listRigs(chosen) {
  const rigs = await ask("/api/rigs");
  $("rig").replaceChildren(...rigs.map((r) => new Option(`${r.name} (${r.joints} joints)`, r.name)));
  if (chosen) $("rig").value = chosen;
}

async function showRig() {
  $("exports").replaceChildren();
  await show([$("rig").value]);
  say(`${$("rig").value} at rest`);
}

async function take(file) {
  say(`Reading ${file.name} …`);
  const rig = await ask(`/api/rigs?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  await listRigs(rig.name);
  await showRig();
  if (rig.notes.length) say(`${rig.name}: ${rig.notes.join(" ")}`);
}

function prompts() {
  const given = Number($("seconds").value);
  return $("text").value.split("\n").map((l) => l.trim()).filter(Boolean).map((line) => {
    const found = line.match(/^(.*)@\s*([\d.]+)$/);
    return found ? [found[1].trim(), Number(found[2])] : [line, given];
  });
}

async function generate() {
  const asked = {
    rig: $("rig").value, prompts: prompts(), samples: Number($("samples").value), seed: Number($("seed").value),
    guidance: Number($("guidance").value), loop: $("loop").checked, in_place: $("in-place").checked,
    lock: $("lock").checked,
  };
  const begun = performance.now();
  say("Generating …");
  const { motions } = await ask("/api/motions", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked),
  });
  await show(motions);
  $("exports").replaceChildren(...motions.map((name, k) => {
    const item = document.createElement("li");
    item.append(`Sample ${k + 1}`);
    for (const kind of ["glb", "bvh", "npz"]) {
      const link = document.createElement("a");
      link.href = `/api/files/${name}.${kind}`;
      link.download = `${name}.${kind}`;
      link.textContent = kind.toUpperCase();
      item.append(link);
    }
    return item;
  }));
  say(`${motions.length} × ${seconds.toFixed(1)} s in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

// Runs one task at a time, with its failure in the status line.
async function run(task) {
  $("go").disabled = true;
  page.dataset.state = "busy";
  try {
    await task();
    page.dataset.state = "ready";
  } catch (error) {
    say(error.message, true);
    page.dataset.state = "failed";
  } finally {
    $("go").disabled = false;
  }
}

$("ask").addEventListener("submit", (e) => { e.preventDefault(); run(generate); });
$("rig").addEventListener("input", () => run(showRig));
$("file").addEventListener("change", (e) => { if (e.target.files[0]) run(() => take(e.target.files[0])); });
$("time").addEventListener("input", (e) => { playing = false; label(); setTime(Number(e.target.value) * seconds); });
$("play").addEventListener("click", () => { playing = !playing; label(); });
$("skin").addEventListener("change", toggle);
$("bones").addEventListener("change", toggle);
function label() { $("play").textContent = playing ? "⏸" : "▶"; }
window.addEventListener("dragover", (e) => { e.preventDefault(); $("drop").hidden = false; });
window.addEventListener("dragleave", (e) => { if (!e.relatedTarget) $("drop").hidden = true; });
window.addEventListener("drop", (e) => {
  e.preventDefault();
  $("drop").hidden = true;
  const file = e.dataTransfer.files[0];
  if (file) run(() => take(file));
});

run(async () => {
  try {
    start();
  } catch {
    throw new Error("This browser has no WebGL, which the view needs.");
  }
  await listRigs();
  await showRig();
});
