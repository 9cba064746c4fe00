/** An operator whose keys' records come from several tasks, and so go by what all of these have passed. */
export function acrossWriters<Plan extends { readonly definition: { readonly closedBy: 'partition' | 'query' } }>(
  plan: Plan,
): Plan {
  return { ...plan, definition: { ...plan.definition, closedBy: 'query' } };
}
