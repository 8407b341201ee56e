// A glTF file whose meshes Draco has compressed, written as a GLB without: node plain.mjs IN OUT.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.cwd(), 'package.json'));
const { NodeIO } = require('@gltf-transform/core');
const { ALL_EXTENSIONS } = require('@gltf-transform/extensions');
const decoder = await require('draco3dgltf').createDecoderModule();
const io = new NodeIO().registerExtensions(ALL_EXTENSIONS).registerDependencies({ 'draco3d.decoder': decoder });
const document = await io.read(process.argv[2]);
for (const used of document.getRoot().listExtensionsUsed()) {
  if (used.extensionName === 'KHR_draco_mesh_compression') used.dispose();
}
await io.write(process.argv[3], document);
