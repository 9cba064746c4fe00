import protobuf from 'protobufjs';

/**
 * The part of the ONNX file format that a tree ensemble needs, as protobuf messages: names and field numbers are those of `onnx.proto3` in
 * the ONNX repository (IR version 8). Fields that we neither write nor read are left out; protobuf skips them.
 */
const onnxDescriptor: protobuf.INamespace = {
  nested: {
    OperatorSetId: message({ domain: [1, 'string'], version: [2, 'int64'] }),
    StringEntry: message({ key: [1, 'string'], value: [2, 'string'] }),
    Dimension: message({ dimValue: [1, 'int64'], dimParam: [2, 'string'] }),
    Shape: message({ dim: [1, 'Dimension', 'repeated'] }),
    TensorType: message({ elemType: [1, 'int32'], shape: [2, 'Shape'] }),
    ValueType: message({ tensorType: [1, 'TensorType'] }),
    ValueInfo: message({ name: [1, 'string'], type: [2, 'ValueType'] }),
    Attribute: message({
      name: [1, 'string'],
      f: [2, 'float'],
      i: [3, 'int64'],
      s: [4, 'bytes'],
      floats: [7, 'float', 'repeated'],
      ints: [8, 'int64', 'repeated'],
      strings: [9, 'bytes', 'repeated'],
      type: [20, 'int32'],
    }),
    Node: message({
      input: [1, 'string', 'repeated'],
      output: [2, 'string', 'repeated'],
      name: [3, 'string'],
      opType: [4, 'string'],
      attribute: [5, 'Attribute', 'repeated'],
      domain: [7, 'string'],
    }),
    Graph: message({
      node: [1, 'Node', 'repeated'],
      name: [2, 'string'],
      input: [11, 'ValueInfo', 'repeated'],
      output: [12, 'ValueInfo', 'repeated'],
    }),
    Model: message({
      irVersion: [1, 'int64'],
      producerName: [2, 'string'],
      producerVersion: [3, 'string'],
      graph: [7, 'Graph'],
      opsetImport: [8, 'OperatorSetId', 'repeated'],
      metadataProps: [14, 'StringEntry', 'repeated'],
    }),
  },
};

type FieldSpec = readonly [id: number, type: string, rule?: 'repeated'];

function message(fields: Readonly<Record<string, FieldSpec>>): protobuf.IType {
  const entries = Object.entries(fields).map(([name, [id, type, rule]]): [string, protobuf.IField] => {
    const packed = rule === 'repeated' && (type === 'float' || type === 'int64');
    return [
      name,
      { id, type, ...(rule === undefined ? {} : { rule }), ...(packed ? { options: { packed: true } } : {}) },
    ];
  });
  return { fields: Object.fromEntries(entries) };
}

/** An attribute of a node. `type` says which of the value fields counts; see {@link attributeType}. */
export interface OnnxAttribute {
  readonly name: string;
  readonly type: number;
  readonly i?: number;
  readonly s?: Uint8Array;
  readonly floats?: readonly number[];
  readonly ints?: readonly number[];
  readonly strings?: readonly Uint8Array[];
}

/** Numbers of `AttributeProto.AttributeType`. */
export const attributeType = { int: 2, string: 3, floats: 6, ints: 7, strings: 8 } as const;

/** Numbers of `TensorProto.DataType`. */
export const elementType = { float32: 1, int64: 7 } as const;

/** One operation of the graph. */
export interface OnnxNode {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly attribute: readonly OnnxAttribute[];
}

/** Name, element type and shape of an input or output; a named dimension is one that each run may choose. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: {
    readonly tensorType: {
      readonly elemType: number;
      readonly shape: { readonly dim: readonly ({ readonly dimValue: number } | { readonly dimParam: string })[] };
    };
  };
}

/** A whole file. */
export interface OnnxModelFile {
  readonly irVersion: number;
  readonly producerName: string;
  readonly graph: {
    readonly name: string;
    readonly node: readonly OnnxNode[];
    readonly input: readonly OnnxValueInfo[];
    readonly output: readonly OnnxValueInfo[];
  };
  readonly opsetImport: readonly { readonly domain: string; readonly version: number }[];
  readonly metadataProps: readonly { readonly key: string; readonly value: string }[];
}

const modelType = protobuf.Root.fromJSON(onnxDescriptor).lookupType('Model');

/** The bytes of a model file. The same model gives the same bytes: protobufjs writes fields by number, and lists in their order. */
export function encodeOnnxModel(model: OnnxModelFile): Uint8Array {
  return modelType.encode(model).finish();
}

/**
 * Reads a model file; what the descriptor does not name is skipped, what the file leaves out is empty.
 *
 * @throws {RangeError | Error} protobufjs's own, where the bytes are no protobuf message; the caller says which file it was.
 */
export function decodeOnnxModel(bytes: Uint8Array): OnnxModelFile {
  const decoded = modelType.decode(bytes);
  return modelType.toObject(decoded, { longs: Number, arrays: true, objects: true }) as unknown as OnnxModelFile;
}
