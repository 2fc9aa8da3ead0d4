/** How many clients a server takes. */
export interface ClientLimits {
  maxClients: number;
  /**
   * Clients that have not proved who they are. Where every client is known by its uid at once, it is kept for
   * the admin protocol only.
   */
  maxAnonymousClients: number;
}
