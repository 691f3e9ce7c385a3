//! Alibaba Cloud's services by their names in RAM, as far as they are known here.

use crate::matching::pattern::Pattern;

/// Services by their names in RAM, OSS first: those beside which applications use OSS, and no complete list.
const SERVICES: &str = "oss ram sts kms ecs vpc slb alb nlb eci ess rds dds kvstore polardb ots log mns cms arms fc cs cr \
                        sae cdn dcdn vod live mts imm nas hbr actiontrail config resourcemanager ros oos tag quotas \
                        bss dns pvtz cen waf green emr dms dts hbase odps opensearch pai sls eventbridge apigateway";

/// Whether there is such a service, or one that the pattern matches, as far as is known here.
pub(crate) fn knows_service(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    SERVICES.split_ascii_whitespace().any(|known| Pattern(&pattern).matches(known))
}

/// The service that was probably meant, such as `oss` by `os`: names so short take one slip.
pub(crate) fn nearest_service(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    SERVICES.split_ascii_whitespace().find(|known| strsim::osa_distance(&name, known) == 1)
}
