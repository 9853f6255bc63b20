"""Reads a .blend file inside Blender and writes its scene to descriptor 3, in the form of preprocess/scene_file.h.

Runs in Blender itself or in a Python with the bpy module; the last argument is the file. The file's scripts stay off.

What counts is what TRELLIS.2's data_toolkit/blender_script (dump_mesh.py, dump_pbr.py) dumps: mesh objects of the
active scene that are hidden neither in viewport nor render, as the dependency graph evaluates them (modifiers,
armatures, shape keys), in world space, cut into triangles by Blender. Materials beyond its patterns are kept as far as
they are understood, with a warning.
"""

import os
import struct
import sys

RESULT = 3  # descriptor
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8  # codes of absl::Status
MAX_FACES = 20_000_000  # these as in mesh::ImportLimits
MAX_IMAGES, MAX_SIDE, MAX_PIXELS = 1024, 8192, 1 << 29
MAX_COORDINATE = 1e9
LINEAR, NEAREST = 0, 1
WRAP = {"REPEAT": 0, "MIRROR": 1}  # else clamped
CLAMP = 2
OPAQUE, MASK, BLEND = 0, 1, 2


class Refused(Exception):
    """An asset that cannot be used, with its error code."""

    def __init__(self, code, message, status=INVALID_ARGUMENT):
        super().__init__(f"{code}: {os.path.basename(sys.argv[-1])}: {message}")
        self.status = status


class Result:
    """The flat file of preprocess/scene_file.h, in pieces."""

    def __init__(self, kind):
        self.pieces = [b"ESPSCN1\n", bytes([kind])]

    def numbers(self, layout, *values):
        self.pieces.append(struct.pack("<" + layout, *values))

    def text(self, text):
        data = text.encode("utf-8", "replace")[:4096].decode("utf-8", "ignore").encode()
        self.numbers("Q", len(data))
        self.pieces.append(data)

    def array(self, array):
        """Rows of an array; None is an empty one."""
        self.numbers("Q", 0 if array is None else len(array))
        if array is not None:
            self.pieces.append(array.tobytes())

    def write(self):
        with open(RESULT, "wb", closefd=False) as file:
            for piece in self.pieces:
                file.write(piece)


class Images:
    """The images that materials use, once each."""

    def __init__(self, warn):
        self.warn = warn
        self.indices = {}
        self.pixels = []
        self.total = 0

    def index(self, image):
        """-1 for one that cannot be used."""
        if image.name_full not in self.indices:
            self.indices[image.name_full] = self.add(image)
        return self.indices[image.name_full]

    def add(self, image):
        width, height = image.size
        if width < 1 or height < 1:
            return self.leave_out(image, "is missing or cannot be read")
        if max(width, height) > MAX_SIDE:
            return self.leave_out(image, f"is larger than {MAX_SIDE} pixels")
        if len(self.pixels) == MAX_IMAGES or self.total + width * height > MAX_PIXELS:
            return self.leave_out(image, "is one too many")
        self.total += width * height
        self.pixels.append(bytes_of(image, width, height))
        return len(self.pixels) - 1

    def leave_out(self, image, why):
        self.warn(f'image "{image.name}" {why}')
        return -1


def bytes_of(image, width, height):
    """[height, width, 4] stored values, the top row first."""
    channels = len(image.pixels) // (width * height)
    stored = np.empty(width * height * channels, np.float32)
    image.pixels.foreach_get(stored)
    stored = stored.reshape(height, width, channels)
    out = np.full((height, width, 4), 255, np.uint8)
    for row in range(height):  # one at a time: in double precision the whole would be large
        line = (np.clip(np.nan_to_num(stored[row].astype(np.float64)), 0, 1) * 255).astype(np.uint8)
        if channels < 3:
            out[height - 1 - row, :, :3] = line[:, :1]
            out[height - 1 - row, :, 3] = line[:, 1] if channels == 2 else 255
        else:
            out[height - 1 - row, :, : min(channels, 4)] = line[:, :4]
    return out


class NotUnderstood(Exception):
    """A node graph outside the patterns of the reference."""


def source(socket):
    """(node, its output socket) that feeds an input, past reroutes; None when nothing does."""
    while socket is not None and socket.is_linked:
        link = socket.links[0]
        if link.from_node.type != "REROUTE":
            return link.from_node, link.from_socket
        socket = link.from_node.inputs[0]
    return None


def upstream(origin):
    """All (node, output socket) from `origin` on against the links, the nearest first."""
    seen, queue = set(), [origin]
    while queue:
        node, output = queue.pop(0)
        yield node, output
        for socket in node.inputs:
            found = source(socket)
            if found and (found[0].name, found[1].identifier) not in seen:
                seen.add((found[0].name, found[1].identifier))
                queue.append(found)


def texture_of(origin, channel):
    """The (node, first channel) of an image that feeds a socket directly or through Separate Color."""
    node, output = origin
    if node.type == "TEX_IMAGE" and node.image is not None:
        if (output.name == "Alpha") == (channel == 3):
            return node, channel
    elif node.type == "SEPARATE_COLOR" and node.mode == "RGB" and source(node.inputs[0]):
        image = source(node.inputs[0])[0]
        if image.type == "TEX_IMAGE" and image.image is not None:
            return image, ("Red", "Green", "Blue").index(output.name)
    raise NotUnderstood


def times_color(origin):
    """((r, g, b), rest) of a colour that a Mix node multiplies."""
    node, _ = origin
    if node.type != "MIX":
        return (1.0, 1.0, 1.0), origin
    if node.data_type != "RGBA" or node.blend_type != "MULTIPLY" or source(node.inputs["Factor"]):
        raise NotUnderstood
    a, b = (s for s in node.inputs if s.type == "RGBA")
    if node.inputs["Factor"].default_value != 1 or bool(source(a)) == bool(source(b)):
        raise NotUnderstood
    return (tuple(b.default_value)[:3], source(a)) if source(a) else (tuple(a.default_value)[:3], source(b))


def times_number(origin):
    """(factor, rest) of a number that a Math node multiplies."""
    node, _ = origin
    if node.type != "MATH":
        return 1.0, origin
    if node.operation != "MULTIPLY" or not source(node.inputs[0]) or source(node.inputs[1]):
        raise NotUnderstood
    return node.inputs[1].default_value, source(node.inputs[0])


def alpha_test(origin):
    """(mode, cutoff, rest) of what feeds an alpha input."""
    node, _ = origin
    if node.type == "MATH" and node.operation == "ROUND" and source(node.inputs[0]):
        return MASK, 0.5, source(node.inputs[0])
    if node.type != "MATH" or node.operation != "SUBTRACT":
        return BLEND, 0.5, origin
    less = source(node.inputs[1])
    if node.inputs[0].default_value != 1 or not less or less[0].type != "MATH" or less[0].operation != "LESS_THAN":
        raise NotUnderstood
    if not source(less[0].inputs[0]):
        raise NotUnderstood
    return MASK, less[0].inputs[1].default_value, source(less[0].inputs[0])


class Material:
    """A material as mesh::Material, read from its nodes."""

    def __init__(self, material, images, warn):
        self.name = material.name
        self.images = images
        self.understood = True
        self.textures = dict.fromkeys(("base", "alpha", "metallic", "roughness", "emissive", "normal"))
        self.emissive = (0.0, 0.0, 0.0)
        self.alpha, self.mode, self.cutoff = 1.0, OPAQUE, 0.5
        self.unlit = self.uses_colors = False
        self.base = tuple(material.diffuse_color)[:3]
        self.metallic, self.roughness = material.metallic, material.roughness
        node = shader_of(material)
        if node is None:
            warn(f'material "{self.name}" has no shader nodes: its viewport colour is taken')
            return
        self.read(node)
        if not self.understood:
            warn(f'material "{self.name}": its nodes are understood only in part')

    def read(self, node):
        self.understood = node.type == "BSDF_PRINCIPLED"
        self.unlit = node.type == "EMISSION"
        self.base = self.color(node.inputs.get("Base Color") or node.inputs.get("Color"), "base")
        self.read_alpha(node.inputs.get("Alpha"))
        self.metallic = self.number(node.inputs.get("Metallic"), "metallic", 2, 0.0)
        if node.type == "BSDF_DIFFUSE":
            self.roughness = 1.0  # its own "Roughness" is another thing
        else:
            self.roughness = self.number(node.inputs.get("Roughness"), "roughness", 1, 0.5)
        if not self.unlit:
            self.read_light(node)

    def use(self, slot, origin, channel):
        node, first = texture_of(origin, channel)
        self.use_node(slot, node, first)

    def use_node(self, slot, node, channel):
        index = self.images.index(node.image)
        if index < 0:
            return
        wrap = WRAP.get(node.extension, CLAMP)
        self.textures[slot] = (index, wrap, wrap, NEAREST if node.interpolation == "Closest" else LINEAR, channel)

    def use_nearest(self, slot, origin):
        """The nearest image in a graph that is not understood; whether there is one."""
        self.understood = False
        for node, output in upstream(origin):
            if node.type in ("VERTEX_COLOR", "ATTRIBUTE") and slot == "base":
                self.uses_colors = True
                return True
            if node.type == "TEX_IMAGE" and node.image is not None:
                self.use_node(slot, node, 3 if output.name == "Alpha" else 0)
                return True
        return False

    def color(self, socket, slot):
        """The factor of a colour input; its image goes to `slot`."""
        if socket is None:
            return (1.0, 1.0, 1.0)
        origin = source(socket)
        if origin is None:
            return tuple(socket.default_value)[:3]
        if origin[0].type == "RGB":
            return tuple(origin[1].default_value)[:3]
        try:
            factor, rest = times_color(origin)
            self.use(slot, rest, 0)
            return factor
        except NotUnderstood:
            return (1.0, 1.0, 1.0) if self.use_nearest(slot, origin) else tuple(socket.default_value)[:3]

    def number(self, socket, slot, channel, default):
        if socket is None:
            return default
        origin = source(socket)
        if origin is None:
            return socket.default_value
        if origin[0].type == "VALUE":
            return origin[1].default_value
        try:
            factor, rest = times_number(origin)
            self.use(slot, rest, channel)
            self.understood &= self.textures[slot] is None or rest[0].type != "TEX_IMAGE" or channel == 3
            return factor
        except NotUnderstood:
            return 1.0 if self.use_nearest(slot, origin) else socket.default_value

    def read_alpha(self, socket):
        origin = source(socket)
        if origin and origin[0].type != "VALUE":
            try:
                self.mode, self.cutoff, rest = alpha_test(origin)
                self.alpha, rest = times_number(rest)
                self.use("alpha", rest, 3)
                return
            except NotUnderstood:
                self.mode = BLEND if self.use_nearest("alpha", origin) else OPAQUE
                return
        self.alpha = self.number(socket, "alpha", 3, 1.0)
        self.mode = BLEND if self.alpha < 1 else OPAQUE

    def read_light(self, node):
        """Emission and normal map; neither is in the reference's dump, so that neither spoils what is understood."""
        understood = self.understood
        strength = node.inputs.get("Emission Strength")
        strength = 1.0 if strength is None else strength.default_value
        socket = node.inputs.get("Emission Color") or node.inputs.get("Emission")
        if socket is not None and strength > 0:
            self.emissive = tuple(strength * c for c in self.color(socket, "emissive"))
        bump = source(node.inputs.get("Normal"))
        if bump and bump[0].type == "NORMAL_MAP" and bump[0].space == "TANGENT" and source(bump[0].inputs["Color"]):
            try:
                self.use("normal", source(bump[0].inputs["Color"]), 0)
            except NotUnderstood:
                pass
        self.understood = understood

    def put(self, result):
        result.text(self.name)
        result.numbers("9f", *self.base, self.alpha, self.metallic, self.roughness, *self.emissive)
        result.numbers("BBfB", self.unlit, self.mode, self.cutoff, True)
        for texture in self.textures.values():
            result.numbers("B", texture is not None)
            if texture is not None:
                result.numbers("iBBBi", *texture)


def shader_of(material):
    """The node that says most of a surface; None without one."""
    if not material.use_nodes or material.node_tree is None:
        return None
    nodes = material.node_tree.nodes
    named = nodes.get("Principled BSDF")
    principled = [named] if named is not None else [node for node in nodes if node.type == "BSDF_PRINCIPLED"]
    if principled:
        return principled[0]
    for output in (node for node in nodes if node.type == "OUTPUT_MATERIAL" and source(node.inputs["Surface"])):
        for node, _ in upstream(source(output.inputs["Surface"])):
            shader = any(socket.type == "SHADER" for socket in node.outputs)
            if shader and node.inputs.get("Color") is not None:
                return node
    return None


class Materials:
    """The materials that faces have, once each."""

    def __init__(self, images, warn):
        self.images = images
        self.warn = warn
        self.indices = {}
        self.all = []

    def index(self, material):
        if material is None:
            return -1
        material = material.original
        if material.name_full not in self.indices:
            self.indices[material.name_full] = len(self.all)
            self.all.append(Material(material, self.images, self.warn))
        return self.indices[material.name_full]

    def of_faces(self, mesh, slots):
        """[F] for the triangles of a mesh."""
        ids = np.array([self.index(slot.material) for slot in slots] or [-1], np.int32)
        places = values_of(mesh.polygons, "material_index", 1, np.int32)[:, 0]
        return ids[np.clip(places, 0, len(ids) - 1)]


def values_of(items, field, width, dtype):
    """[len(items), width] of a property."""
    out = np.empty(len(items) * width, dtype)
    items.foreach_get(field, out)
    return out.reshape(len(items), width)


def corner_normals(mesh):
    """[3F, 3] of unit length."""
    if hasattr(mesh, "corner_normals"):
        normals = values_of(mesh.corner_normals, "vector", 3, np.float32)
    else:  # before Blender 4.1
        mesh.calc_normals_split()
        normals = values_of(mesh.loops, "normal", 3, np.float32)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    good = np.isfinite(length) & (length > 1e-6)
    up = np.array([0, 0, 1], np.float32)
    return np.where(good, normals / np.where(good, length, 1), up).astype(np.float32)


def corner_colors(mesh):
    """[3F, 4] linear, of the active colour attribute; None without one."""
    layer = mesh.color_attributes.active_color
    if layer is None or layer.domain not in ("POINT", "CORNER"):
        return None
    colors = values_of(layer.data, "color", 4, np.float32)
    if layer.domain == "POINT":
        colors = colors[values_of(mesh.loops, "vertex_index", 1, np.int32)[:, 0]]
    return np.clip(np.nan_to_num(colors), 0, 1)


def first_of_equal(rows):
    """For rows [N, K] of uint32: the numbers of those that differ from all before [M], and for each its place there."""
    key = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    if (rows[first][place] != rows).any():  # different rows with one key
        return np.arange(len(rows)), np.arange(len(rows))
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[place]


def triangulated(obj, evaluated):
    """The evaluated mesh of an object in world space, in triangles; None without faces."""
    mesh = evaluated.to_mesh()
    if mesh is None or len(mesh.polygons) == 0:
        return None
    if sum(values_of(mesh.polygons, "loop_total", 1, np.int32)[:, 0].astype(np.int64) - 2) > MAX_FACES:
        raise Refused("TOO_MANY_FACES", f"more than {MAX_FACES} triangles", RESOURCE_EXHAUSTED)
    work = bmesh.new()
    work.from_mesh(mesh)
    work.transform(obj.matrix_world)
    bmesh.ops.triangulate(work, faces=work.faces)
    work.to_mesh(mesh)
    work.free()
    return mesh if len(mesh.polygons) > 0 else None


def put_mesh(result, name, mesh, materials, slots):
    """Writes an evaluated mesh; vertices of the file are its points, what differs at a corner splits them."""
    points = values_of(mesh.loops, "vertex_index", 1, np.uint32)[:, 0]
    positions = values_of(mesh.vertices, "co", 3, np.float32)
    if not (np.abs(positions) <= MAX_COORDINATE).all():
        raise Refused("NONFINITE_GEOMETRY", f'object "{name}": a coordinate is not a number within 1e9')
    ids = materials.of_faces(mesh, slots)
    attributes = [corner_normals(mesh)]
    layer = mesh.uv_layers.active
    if layer is not None:
        uvs = np.nan_to_num(values_of(layer.data, "uv", 2, np.float32))
        attributes.append(np.stack([uvs[:, 0], 1 - uvs[:, 1]], axis=1))
    colored = np.array([material.uses_colors for material in materials.all] + [False])[ids]
    colors = corner_colors(mesh) if colored.any() else None
    if colors is not None:
        attributes.append(np.where(np.repeat(colored, 3)[:, None], colors, np.float32(1)))
    rows = np.hstack([points[:, None]] + [np.ascontiguousarray(a).view(np.uint32) for a in attributes])
    first, place = first_of_equal(rows)
    loose = np.setdiff1d(np.arange(len(positions), dtype=np.uint32), points)
    kept = [np.concatenate([a[first], np.zeros((len(loose), a.shape[1]), np.float32)]) for a in attributes]
    kept[0][len(first):] = (0, 0, 1)
    sources = np.concatenate([points[first], loose])
    _, firsts, which = np.unique(sources, return_index=True, return_inverse=True)
    result.text(name)
    result.array(positions[sources])
    result.array(kept[0])
    result.array(kept[1] if layer is not None else None)
    result.array(kept[-1] if colors is not None else None)
    result.array(firsts[which].astype(np.uint32))  # a point is named by its first vertex
    result.array(place.astype(np.uint32).reshape(-1, 3))
    result.array(ids)


def remove_hidden():
    for obj in [obj for obj in bpy.context.scene.objects if obj.hide_viewport or obj.hide_render]:
        bpy.data.objects.remove(obj, do_unlink=True)
    for collection in [collection for collection in bpy.data.collections if collection.hide_viewport]:
        bpy.data.collections.remove(collection)


def left_out(objects):
    """What of the scene has surfaces, but no mesh, for a warning."""
    kinds = {"CURVE": "curves", "SURFACE": "surfaces", "META": "metaballs", "FONT": "texts"}
    found = {kinds[obj.type] for obj in objects if obj.type in kinds}
    if any(obj.instance_type == "COLLECTION" for obj in objects):
        found.add("collection instances")
    return sorted(found)


def dump(path):
    """The result for a file. Raises Refused."""
    try:
        bpy.ops.wm.open_mainfile(filepath=path, use_scripts=False)
    except RuntimeError as error:
        why = " ".join(str(error).replace(path, os.path.basename(path)).split())  # not where it lies here
        raise Refused("UNREADABLE", f"Blender {bpy.app.version_string}: {why}") from None
    remove_hidden()
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    warnings = []
    images = Images(warnings.append)
    materials = Materials(images, warnings.append)
    meshes = Result(1)
    count = 0
    objects = list(bpy.context.scene.objects)
    for obj in (obj for obj in objects if obj.type == "MESH"):
        evaluated = obj.evaluated_get(depsgraph)
        mesh = triangulated(obj, evaluated)
        if mesh is not None:
            put_mesh(meshes, obj.name, mesh, materials, evaluated.material_slots)
            count += 1
        evaluated.to_mesh_clear()
    if count == 0:
        raise Refused("EMPTY_MESH", "no visible mesh object has faces")
    if left_out(objects):
        warnings.append(f"left out: {', '.join(left_out(objects))}; only meshes are read")
    meshes.pieces.insert(2, struct.pack("<Q", count))
    return finished(meshes, materials.all, images.pixels, warnings)


def finished(result, materials, images, warnings):
    result.numbers("Q", len(materials))
    for material in materials:
        material.put(result)
    result.numbers("Q", len(images))
    for pixels in images:
        result.numbers("3i", pixels.shape[1], pixels.shape[0], pixels.shape[2])
        result.array(pixels.reshape(-1))
    result.numbers("Q", min(len(warnings), 1000))
    for warning in warnings[:1000]:
        result.text(warning)
    return result


def failure(status, message):
    result = Result(2)
    result.numbers("i", status)
    result.text(message)
    return result


def run():
    try:
        return dump(sys.argv[-1])
    except Refused as refusal:
        return failure(refusal.status, str(refusal))
    except MemoryError:
        return failure(RESOURCE_EXHAUSTED, "OUT_OF_MEMORY: reading the asset needs too much memory")
    except Exception as error:  # whatever a stranger's file makes Blender's interface raise
        name = os.path.basename(sys.argv[-1])
        return failure(INVALID_ARGUMENT, f"UNREADABLE: {name}: Blender: {type(error).__name__}: {error}")


try:
    import bpy  # the first: it brings the others
    import bmesh
    import numpy as np

    outcome = run()
except ImportError as error:
    outcome = failure(INVALID_ARGUMENT, f"UNSUPPORTED_FEATURE: {sys.executable or 'blender'} cannot be used: {error}")
outcome.write()
os._exit(0)
