import type { ClickHouseAddress } from '../../clickhouse/create-clickhouse.ts';
import type { ErrorFields } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import type { SchemaRegistrySettings } from '../../serde/open-schema-registry.ts';

/** What the sink's thread is started with. */
export interface SinkThreadSettings {
  readonly table: string;
  readonly registry: SchemaRegistrySettings;
}

/** A chunk to write, and where the server listens now. */
export interface SinkThreadRequest {
  readonly address: ClickHouseAddress;
  readonly messages: MessageBatch;
}

/** How a write ended. An error without a code is a bug of ours. */
export type SinkThreadReply =
  | { readonly kind: 'written' }
  | {
      readonly kind: 'failed';
      readonly code: string | null;
      readonly message: string;
      readonly retryable: 'transient' | 'permanent';
      readonly fields: ErrorFields;
    };
