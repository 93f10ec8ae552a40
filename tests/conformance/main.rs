//! SCTP conformance, one test per item of `items.txt`, against a raw peer with a codec of its own, or
//! between two engines whose packets that codec reads.

#[path = "../support/coverage.rs"]
mod coverage;
#[path = "../support/raw_channels.rs"]
mod raw_channels;
#[path = "../support/raw_extensions.rs"]
mod raw_extensions;
#[path = "../support/raw_sctp.rs"]
mod raw_sctp;
#[path = "../support/sctp_pair.rs"]
mod sctp_pair;
#[path = "../support/stack.rs"]
mod stack;

mod a_captures;
mod a_codec;
mod b_setup;
mod c2_simultaneous_open;
mod c_collision;
mod d_tags;
mod e2_accepting;
mod e_sending;
mod f2_reassembly;
mod f_streams;
mod g_sacks;
mod h_sacks_received;
mod hostile;
mod i_rto;
mod j_congestion;
mod k_heartbeat;
mod l_packet_size;
mod m_shutdown;
mod n_numbers;
mod o2_forward_tsn_sent;
mod o3_forward_tsn_received;
mod o_partial_reliability;
mod p2_schedulers;
mod p_interleaving;
mod q2_reset_and_skip;
mod q_channels;
mod q_reconfig;
mod q_reconfig_received;
mod r_zero_checksum;
mod s_carriage;
mod t2_closing;
mod t_channels;
mod table;
mod u_discipline;
