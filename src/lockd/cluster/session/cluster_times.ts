/**
 * Times of a host's membership. None of them keeps two hosts apart; those that others rely on, as for telling
 * who is heard of, are here together, and their test holds the relations between them.
 */

/**
 * How often a host shows that it is there, and looks whether it is still a member, in ms. Two questions of
 * each host in this time are nothing to etcd with hundreds of hosts; it is also how late a host notices that
 * it was condemned.
 */
export const PROOF_MS = 3000;

/**
 * Time limit of one question, in ms. etcd elects a new leader within some 2 s and answers then; a question
 * that is given up costs a bump. It is below {@link AWAY_MS}, so that one slow answer is not an etcd that is
 * away. Who asks for a lock may wait less: see AskLimit.
 */
export const ASK_MS = 4000;

/**
 * etcd is away when it has not answered for so long, in ms: then nobody is kept waiting. Not before a proof
 * that went unanswered has had its time: an idle host asks every {@link PROOF_MS} only.
 */
export const AWAY_MS = 5000;

/**
 * How long a host that is not heard of counts as there, in seconds. It may miss two proofs and be late with
 * the third: else a short pause of one host would let others call it silent.
 */
export const HEARD_SECONDS = 10;

/**
 * How long a host that was condemned has time to object, in ms: it looks at its session every
 * {@link PROOF_MS}, and the answer may take {@link ASK_MS}; what is left is for writing it anew. One that is
 * dead does not object; one that cannot reach etcd does not either, which is why fencing takes somebody's
 * word.
 */
export const OBJECTION_MS = 10_000;
