/**
 * Where writers' schemas are kept by id. Decoders ask for the schemas of the ids they meet, once each, outside the batch loop's synchronous part; whoever
 * makes an encoder registers its schema first. Ids are never reused, and the schema of an id never changes.
 *
 * Errors of both calls: `REGISTRY_UNAVAILABLE` (transient: try again as it is), `REGISTRY_REFUSED` (permanent: address or credentials are wrong).
 */
export interface SchemaRegistry {
  /** For errors and logs: `directory …`, `http://…`. */
  readonly name: string;
  /**
   * The schema of that id as text, or `null` when the registry has none.
   *
   * @throws {SluiceError} (by rejection) `REGISTRY_SCHEMA_UNSUPPORTED` when there is one, but not in Avro, or in several parts.
   */
  schemaById(id: number, signal?: AbortSignal): Promise<string | null>;
  /**
   * The id of the schema under `subject` (by custom `<topic>-value`), registering it when it is new. The same schema gives the same id.
   *
   * @throws {SluiceError} (by rejection) `SCHEMA_INCOMPATIBLE` when the subject's rules forbid it, `AVRO_SCHEMA_INVALID` when it is no schema.
   */
  register(subject: string, schemaText: string, signal?: AbortSignal): Promise<number>;
}
