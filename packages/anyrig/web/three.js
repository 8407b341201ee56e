// What the studio uses of three.js, for one file in the package: npm install && npm run build
export {
  AmbientLight, AnimationMixer, Box3, Color, DirectionalLight, Fog, GridHelper, Group, HemisphereLight, LoopRepeat,
  PerspectiveCamera, Scene, SkeletonHelper, Vector3, WebGLRenderer,
} from "three";
export { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
export { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
