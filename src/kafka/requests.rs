//! The requests that krun speaks: how far, under which name, and which right each of them needs.

use super::error::Error;
use kafka_protocol::ResponseError;
use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

/// A request with its answer's type.
pub trait Ask: Encodable + HeaderVersion {
    const KEY: i16;
    /// Lowest and highest version that krun sends. Where the codec could go higher, the higher
    /// versions name topics by id only.
    const SPOKEN: (i16, i16);
    /// The request's name in Kafka's documents.
    const NAME: &'static str;
    /// The ACL operation that a broker asks for.
    const OPERATION: &'static str;
    type Response: Decodable + HeaderVersion;
}

macro_rules! requests {
    ($($key:ident $low:literal to $high:literal, $request:ident -> $response:ident, $operation:literal;)*) => {$(
        impl Ask for m::$request {
            const KEY: i16 = m::ApiKey::$key as i16;
            const SPOKEN: (i16, i16) = ($low, $high);
            const NAME: &'static str = stringify!($key);
            const OPERATION: &'static str = $operation;
            type Response = m::$response;
        }
    )*};
}

requests! {
    ApiVersions 0 to 2, ApiVersionsRequest -> ApiVersionsResponse, "none";
    SaslHandshake 1 to 1, SaslHandshakeRequest -> SaslHandshakeResponse, "none";
    SaslAuthenticate 0 to 2, SaslAuthenticateRequest -> SaslAuthenticateResponse, "none";
    Metadata 4 to 12, MetadataRequest -> MetadataResponse, "Describe";
    DescribeConfigs 1 to 4, DescribeConfigsRequest -> DescribeConfigsResponse, "DescribeConfigs";
    DescribeLogDirs 1 to 4, DescribeLogDirsRequest -> DescribeLogDirsResponse, "Describe";
    ListPartitionReassignments 0 to 0, ListPartitionReassignmentsRequest -> ListPartitionReassignmentsResponse, "Describe";
    CreateTopics 2 to 6, CreateTopicsRequest -> CreateTopicsResponse, "Create";
    CreatePartitions 0 to 3, CreatePartitionsRequest -> CreatePartitionsResponse, "Alter";
    AlterConfigs 0 to 2, AlterConfigsRequest -> AlterConfigsResponse, "AlterConfigs";
    IncrementalAlterConfigs 0 to 1, IncrementalAlterConfigsRequest -> IncrementalAlterConfigsResponse, "AlterConfigs";
    DeleteTopics 1 to 5, DeleteTopicsRequest -> DeleteTopicsResponse, "Delete";
    ElectLeaders 0 to 2, ElectLeadersRequest -> ElectLeadersResponse, "Alter";
    Produce 3 to 12, ProduceRequest -> ProduceResponse, "Write";
    Fetch 4 to 12, FetchRequest -> FetchResponse, "Read";
    ListOffsets 1 to 7, ListOffsetsRequest -> ListOffsetsResponse, "Describe";
    FindCoordinator 0 to 3, FindCoordinatorRequest -> FindCoordinatorResponse, "Describe";
    OffsetCommit 2 to 8, OffsetCommitRequest -> OffsetCommitResponse, "Read";
    OffsetFetch 1 to 7, OffsetFetchRequest -> OffsetFetchResponse, "Describe";
}

/// What is known where a broker said no.
pub(super) struct Refusal {
    pub(super) address: String,
    pub(super) user: String,
    pub(super) request: &'static str,
    pub(super) operation: &'static str,
}

impl Refusal {
    pub(super) fn error(self, code: i16, resource: &str, message: Option<&str>) -> Error {
        use ResponseError as E;
        let resource = match ResponseError::try_from_code(code) {
            // The broker says which kind of resource it looked at.
            Some(E::ClusterAuthorizationFailed) => "the cluster".to_owned(),
            Some(E::TopicAuthorizationFailed | E::GroupAuthorizationFailed) => resource.to_owned(),
            error => {
                return Error::Refused {
                    address: self.address,
                    request: self.request,
                    resource: resource.to_owned(),
                    code: error.map_or_else(|| "no error".into(), |e| e.to_string()),
                    message: message.filter(|m| !m.is_empty()).map(str::to_owned),
                };
            }
        };
        Error::MissingAcl {
            address: self.address,
            request: self.request,
            user: self.user,
            operation: self.operation,
            resource,
        }
    }
}
