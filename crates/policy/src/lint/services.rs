//! Alibaba Cloud's services by their names in RAM, as far as they are known here.

use crate::matching::pattern::Pattern;

/// The names of services, OSS first: those that applications use beside OSS. The list is not complete.
const SERVICES: &str = "oss ram sts kms ecs vpc slb alb nlb eci ess rds dds kvstore polardb ots log mns cms arms fc cs cr \
                        sae cdn dcdn vod live mts imm nas hbr actiontrail config resourcemanager ros oos tag quotas \
                        bss dns pvtz cen waf green emr dms dts hbase odps opensearch pai sls eventbridge apigateway";

/// Whether the pattern matches a known service.
pub(crate) fn knows_service(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    SERVICES.split_ascii_whitespace().any(|known| Pattern(&pattern).matches(known))
}

/// The service most like the name, such as `oss` for `os`: names so short allow one edit.
pub(crate) fn nearest_service(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    SERVICES.split_ascii_whitespace().find(|known| strsim::osa_distance(&name, known) == 1)
}
